package fleet

import "fmt"

// What a house can tell a pump to do.
const (
	CommandKick    = "kick"    // cut viewers off
	CommandInspect = "inspect" // answer with their figures of now
)

// Command is an instruction, sent on the event stream. The pump does it once, however
// often it comes (by ID), and answers with an event of kind [KindAnswer], at once.
type Command struct {
	ID      string   `json:"id"`
	Kind    string   `json:"kind"`
	Viewers []string `json:"viewers,omitempty"` // ids of the pump
	Clients []string `json:"clients,omitempty"` // ids given from outside; each may be several viewers
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
	c.oneOf("kind", m.Kind, CommandKick, CommandInspect)
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
	m.Reason = Shorten(m.Reason)
	return c.err()
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
