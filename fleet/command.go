package fleet

import "fmt"

// What a house can tell a pump to do.
const (
	CommandKick    = "kick"    // cut viewers off
	CommandInspect = "inspect" // answer with their figures of now
	CommandRetry   = "retry"   // ask the sources of streams now: one of them has begun to deliver
)

// Command is an instruction, sent on the event stream. The pump does it once, however
// often it comes (by ID), and answers with an event of kind [KindAnswer], at once; but a
// [CommandRetry] has no answer.
type Command struct {
	ID      string   `json:"id"`
	Kind    string   `json:"kind"`
	Viewers []string `json:"viewers,omitempty"` // ids of the pump
	Clients []string `json:"clients,omitempty"` // ids given from outside; each may be several viewers
	Streams []string `json:"streams,omitempty"` // paths, of a CommandRetry alone
	Reason  string   `json:"reason,omitempty"`  // for the log
}

// Answer is what became of a [Command].
type Answer struct {
	Command string   `json:"command"` // its ID
	Fault   string   `json:"fault,omitempty"`
	Viewers []Viewer `json:"viewers,omitempty"` // who were meant and are there: kicked, or with their figures
}

// Check tells everything that is wrong with m.
func (m *Command) Check() error {
	var c checker
	checkCommandID(&c, "id", m.ID)
	c.oneOf("kind", m.Kind, CommandKick, CommandInspect, CommandRetry)
	m.Reason = Shorten(m.Reason)
	if m.Kind == CommandRetry {
		m.checkRetry(&c)
		return c.err()
	}
	if len(m.Streams) > 0 {
		c.fault("streams", "are for %s alone", CommandRetry)
	}
	if len(m.Viewers)+len(m.Clients) == 0 {
		c.fault("viewers", "and clients are both empty")
	}
	if len(m.Viewers)+len(m.Clients) > MaxViewers {
		c.fault("viewers", "and clients are %d (at most %d)", len(m.Viewers)+len(m.Clients), MaxViewers)
		return c.err()
	}
	for i, id := range m.Viewers {
		if id == "" || len(id) > MaxID {
			c.fault(fmt.Sprintf("viewers[%d]", i), "is no id of a viewer")
		}
	}
	for i, id := range m.Clients {
		if !ValidClient(id) {
			c.fault(fmt.Sprintf("clients[%d]", i), "is no outside id")
		}
	}
	return c.err()
}

func (m *Command) checkRetry(c *checker) {
	if len(m.Viewers)+len(m.Clients) > 0 {
		c.fault("viewers", "and clients are not for %s", CommandRetry)
	}
	if len(m.Streams) == 0 || len(m.Streams) > MaxStreams {
		c.fault("streams", "are %d (1 to %d)", len(m.Streams), MaxStreams)
		return
	}
	for i, path := range m.Streams {
		c.stream(fmt.Sprintf("streams[%d]", i), path)
	}
}

func (a *Answer) check(c *checker, at string) {
	checkCommandID(c, at+"command", a.Command)
	a.Fault = Shorten(a.Fault)
	checkViewers(c, at+"viewers", a.Viewers)
}

func checkCommandID(c *checker, field, id string) {
	if !validBoot(id) {
		c.fault(field, "is no id of a command (16 to 32 hexadecimal digits)")
	}
}
