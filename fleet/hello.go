package fleet

import (
	"crypto/rand"
	"encoding/hex"
	"net/url"
	"time"
)

// Hello is how a pump begins, at [PathHello]: with its id and key as Basic credentials,
// or with its client certificate.
type Hello struct {
	Pump    string    `json:"pump"`
	Boot    string    `json:"boot"`          // from NewBoot, at every start of the program
	Program string    `json:"program"`       // its version, for people
	URL     string    `json:"url,omitempty"` // where viewers reach it, if its configuration says so
	Port    int       `json:"port"`          // its public port; 0: none without TLS
	Clock   time.Time `json:"clock"`         // to tell how far off it is; used for nothing else
	Config  string    `json:"config"`        // digest of the configuration it has; empty: none
}

// NewBoot returns a fresh name for a run of the program.
func NewBoot() string {
	b := make([]byte, 8)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// Check tells everything that is wrong with h, and cleans what is only shown.
func (h *Hello) Check() error {
	var c checker
	h.Program = Shorten(h.Program)
	if !ValidHouseID(h.Pump) {
		c.pump("pump", h.Pump)
	}
	c.boot("boot", h.Boot)
	c.number("port", int64(h.Port), 65535)
	if h.URL != "" && !ValidURL(h.URL) {
		c.fault("url", "%q is no address of a pump (as in http://192.0.2.1:8086)", Shorten(h.URL))
	}
	if len(h.Config) > 64 {
		c.fault("config", "is no digest")
	}
	return c.err()
}

// ValidURL tells whether s is the address of a pump: http or https, a host, perhaps a
// port, and no more.
func ValidURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && len(s) <= 300 && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" &&
		u.User == nil && (u.Path == "" || u.Path == "/") && u.RawQuery == "" && u.Fragment == "" && u.Opaque == ""
}

// Welcome is the answer to a [Hello].
type Welcome struct {
	House       string    `json:"house"`        // name of this house
	Session     string    `json:"session"`      // bearer token for the other paths
	ExpiresS    int       `json:"expires_s"`    // say hello again before
	Clock       time.Time `json:"clock"`        // of the house
	TelemetryMS int       `json:"telemetry_ms"` // a batch at least so often
	SilenceMS   int       `json:"silence_ms"`   // the event stream carries something at least so often
	RenewS      int       `json:"renew_s"`      // renew the certificate in so many seconds; 0: none is in use
}

// Check tells what is wrong with w, so that a house cannot make a pump busy or forgetful.
func (w *Welcome) Check() error {
	var c checker
	w.House = Shorten(w.House)
	if w.Session == "" || len(w.Session) > 1024 {
		c.fault("session", "is missing or too long")
	}
	between := func(field string, v, least, most int) {
		if v < least || v > most {
			c.fault(field, "is %d (%d to %d)", v, least, most)
		}
	}
	between("expires_s", w.ExpiresS, 10, 30*24*3600)
	between("telemetry_ms", w.TelemetryMS, 50, 60_000)
	between("silence_ms", w.SilenceMS, 100, 120_000)
	c.number("renew_s", int64(w.RenewS), 10*365*24*3600)
	return c.err()
}

// Goodbye ends an event stream on purpose.
type Goodbye struct {
	Code   string `json:"code,omitempty"` // CodeSuperseded, or nothing
	Reason string `json:"reason"`         // for people
	WaitMS int    `json:"wait_ms"`        // before coming again
}
