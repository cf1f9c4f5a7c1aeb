package fleet

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Config is what a house wants of a pump, sent on the event stream whenever it differs
// from the one the pump has, by digest. It is whole: what it does not name is off.
type Config struct {
	Pump     string `json:"pump"`
	Title    string `json:"title"`
	Draining bool   `json:"draining"` // no new viewers are sent to it

	// Settings is an object in the language of stream-pump's configuration, with the
	// keys that [SettingsKeys] lists. The pump reads it as strictly as its own file.
	Settings json.RawMessage `json:"settings"`

	// Parents names the pump behind an address that stands in Settings as a source:
	// address → id, so that telemetry can tell who delivers.
	Parents map[string]string `json:"parents,omitempty"`

	// Digest is of all the above; [Config.Seal] sets it.
	Digest string `json:"digest"`
}

// SettingsKeys are the keys of the top level that a house may set. All else stays as the
// pump's own file has it.
var SettingsKeys = []string{"streams", "limits", "signing", "id_parameter"}

// Seal sets the digest.
func (c *Config) Seal() { c.Digest = c.digest() }

func (c *Config) digest() string {
	bare := *c
	bare.Digest = ""
	b, err := json.Marshal(bare) // fields in order, maps by key: the same content has the same digest
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// Check tells everything that is wrong with c as a configuration of the pump with this
// id. Settings are looked at no further than that they are an object.
func (c *Config) Check(pump string) error {
	var k checker
	if c.Pump != pump {
		k.fault("pump", "is %q, but this is %q", Shorten(c.Pump), pump)
	}
	c.Title = Shorten(c.Title)
	if t := bytes.TrimSpace(c.Settings); len(t) == 0 || t[0] != '{' || !json.Valid(t) {
		k.fault("settings", "are no object")
	} else if got := c.digest(); c.Digest != got {
		k.fault("digest", "does not fit the content")
	}
	for address, id := range c.Parents {
		k.pump("parents["+Shorten(address)+"]", id)
	}
	return k.err()
}
