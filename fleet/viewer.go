package fleet

import "net/netip"

// Kinds of events.
const (
	KindJoin   = "join"   // Viewer: all of it
	KindLeave  = "leave"  // Viewer: all of it, with its last figures; Reason
	KindHealth = "health" // Viewer: all of it; its Health has changed
	KindAnswer = "answer" // Answer: to a command
)

// Event is something that happened at a pump.
type Event struct {
	Kind   string  `json:"kind"`
	AgoMS  int64   `json:"ago_ms"` // when the batch was sent
	Viewer *Viewer `json:"viewer,omitempty"`
	Reason string  `json:"reason,omitempty"` // why it left, of the pump's closed set
	Answer *Answer `json:"answer,omitempty"`
}

// Health of a viewer.
const (
	HealthGood = "good"
	HealthPoor = "poor" // skipped, or far behind, within the last half minute
	HealthGone = "gone" // has left
)

// Viewer is somebody who watches at a pump.
type Viewer struct {
	ID      string `json:"id"`               // the pump's, unique since its boot
	Client  string `json:"client,omitempty"` // given from outside (?id=)
	Stream  string `json:"stream"`           // path
	Address string `json:"address"`          // IP, as the pump sees it
	Agent   string `json:"agent"`            // User-Agent: not to be trusted
	Kind    string `json:"kind"`             // mmsh or asf; pump for a pump downstream
	TLS     bool   `json:"tls,omitempty"`
	ForMS   int64  `json:"for_ms"` // watching since
	Bytes   int64  `json:"bytes"`
	LagMS   int64  `json:"lag_ms"`
	Skipped int64  `json:"skipped"` // packets
	Health  string `json:"health"`
}

// KindPump is the kind of a viewer that is a pump downstream.
const KindPump = "pump"

func (e *Event) check(c *checker, at string) {
	c.number(at+"ago_ms", e.AgoMS, maxAge)
	e.Reason = Shorten(e.Reason)
	switch e.Kind {
	case KindJoin, KindLeave, KindHealth:
		if e.Viewer == nil {
			c.fault(at+"viewer", "is missing")
			return
		}
		e.Viewer.check(c, at+"viewer.")
	case KindAnswer:
		if e.Answer == nil {
			c.fault(at+"answer", "is missing")
			return
		}
		e.Answer.check(c, at+"answer.")
	default:
		c.oneOf(at+"kind", e.Kind, KindJoin, KindLeave, KindHealth, KindAnswer)
	}
}

func (v *Viewer) check(c *checker, at string) {
	if v.ID == "" || len(v.ID) > MaxID || Shorten(v.ID) != v.ID {
		c.fault(at+"id", "%q is no id of a viewer (1 to %d characters)", Shorten(v.ID), MaxID)
	}
	if v.Client != "" && !ValidClient(v.Client) {
		c.fault(at+"client", "%q is no outside id (1 to %d bytes, no control characters)", Shorten(v.Client), MaxClient)
	}
	c.stream(at+"stream", v.Stream)
	if a, err := netip.ParseAddr(v.Address); err != nil || a.Zone() != "" {
		c.fault(at+"address", "%q is no IP address", Shorten(v.Address))
	}
	v.Agent, v.Kind = Shorten(v.Agent), Shorten(v.Kind)
	c.number(at+"for_ms", v.ForMS, maxAge)
	c.number(at+"bytes", v.Bytes, maxTotal)
	c.number(at+"lag_ms", v.LagMS, maxAge)
	c.number(at+"skipped", v.Skipped, maxTotal)
	c.oneOf(at+"health", v.Health, HealthGood, HealthPoor, HealthGone)
}
