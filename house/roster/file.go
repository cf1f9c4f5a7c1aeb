package roster

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/stream-pump/stream-pump/config"
)

// File is a roster as it was read, with what is secret apart.
type File struct {
	Roster *Roster
	Keys   map[string]string // by id: a key, or its hash if it begins with $
}

// Load reads a roster file; everything that is wrong comes at once, as [config.Problems].
func Load(file string) (*File, error) { return made(config.LoadRoster(file, faults)) }

// Parse is [Load] for data already read.
func Parse(name string, data []byte) (*File, error) {
	return made(config.ParseRoster(name, data, faults))
}

func made(f *config.RosterFile, err error) (*File, error) {
	if err != nil {
		return nil, err
	}
	r := &File{Roster: of(f), Keys: map[string]string{}}
	for _, p := range f.Pumps {
		if p.Key != "" {
			r.Keys[p.ID] = p.Key
		}
	}
	return r, nil
}

// faults finds what is wrong between entries. Entries that are wrong in themselves have
// empty ids here, and are let be.
func faults(f *config.RosterFile) []config.Fault { return of(f).Faults() }

// of makes a roster of a file.
func of(f *config.RosterFile) *Roster {
	r := &Roster{}
	for _, p := range f.Pumps {
		q := Pump{
			ID: p.ID, Title: p.Title, URL: p.URL, Parents: p.Parents, MaxViewers: p.MaxViewers,
			MaxBandwidth: int64(p.MaxBandwidth), Enabled: p.Enabled, Draining: p.Draining,
		}
		for _, n := range p.Networks {
			q.Networks = append(q.Networks, Network{Prefix: n.CIDR, Priority: n.Priority})
		}
		r.Pumps = append(r.Pumps, q)
	}
	for _, e := range f.Expect {
		r.Expectations = append(r.Expectations, Expectation{Address: e.Address, Pump: e.Pump})
	}
	return r
}

// pumpJSON is a pump in the file and in the store.
type pumpJSON struct {
	ID           json.RawMessage `json:"id"`
	Title        string          `json:"title,omitempty"`
	Key          string          `json:"key,omitempty"`
	URL          string          `json:"url,omitempty"`
	Parents      []string        `json:"parents,omitempty"`
	Networks     []networkJSON   `json:"networks,omitempty"`
	MaxViewers   int             `json:"max_viewers,omitempty"`
	MaxBandwidth string          `json:"max_bandwidth,omitempty"`
	Enabled      *bool           `json:"enabled,omitempty"`
	Draining     bool            `json:"draining,omitempty"`
}

type networkJSON struct {
	CIDR     string `json:"cidr"`
	Priority int    `json:"priority"`
}

type expectJSON struct {
	Address string `json:"address"`
	Pump    string `json:"pump"`
}

func (p *Pump) file(key string) pumpJSON {
	j := pumpJSON{
		ID: idJSON(p.ID), Key: key, URL: p.URL, Parents: p.Parents, MaxViewers: p.MaxViewers, Draining: p.Draining,
	}
	if p.Title != p.ID {
		j.Title = p.Title
	}
	if p.MaxBandwidth > 0 {
		j.MaxBandwidth = config.Bandwidth(p.MaxBandwidth).String()
	}
	if !p.Enabled {
		j.Enabled = &p.Enabled
	}
	for _, n := range p.Networks {
		j.Networks = append(j.Networks, networkJSON{n.Prefix.String(), n.Priority})
	}
	return j
}

// idJSON writes an id as the number it was, if it was one.
func idJSON(id string) json.RawMessage {
	if n, err := strconv.ParseUint(id, 10, 32); err == nil && strconv.FormatUint(n, 10) == id {
		return json.RawMessage(id)
	}
	return json.RawMessage(strconv.Quote(id)) // no character of an id needs more
}

// JSON writes the roster in the form that [Parse] reads: the list alone where there are no
// expectations, as in 2011. hashes are written as the pumps' keys.
func (r *Roster) JSON(hashes map[string]string) []byte {
	pumps := make([]pumpJSON, len(r.Pumps))
	for i := range r.Pumps {
		pumps[i] = r.Pumps[i].file(hashes[r.Pumps[i].ID])
	}
	var v any = pumps
	if len(r.Expectations) > 0 {
		expect := make([]expectJSON, len(r.Expectations))
		for i, e := range r.Expectations {
			expect[i] = expectJSON{e.Address.String(), e.Pump}
		}
		v = struct {
			Pumps  []pumpJSON   `json:"pumps"`
			Expect []expectJSON `json:"expect"`
		}{pumps, expect}
	}
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil { // only texts and numbers are in it
		panic(fmt.Sprintf("roster: writing: %v", err))
	}
	return append(b, '\n')
}

// MarshalPump writes one pump, without its key, as it is kept in the store.
func MarshalPump(p Pump) []byte {
	b, err := json.Marshal(p.file(""))
	if err != nil { // only texts and numbers are in it
		panic(fmt.Sprintf("roster: writing: %v", err))
	}
	return b
}

// UnmarshalPump reads what [MarshalPump] wrote, or what a program sends; as strictly as the
// file, but for what only a whole roster can tell. key is the pump's if it is given.
func UnmarshalPump(data []byte) (p Pump, key string, err error) {
	f, err := made(config.ParseRoster("pump.json", append(append([]byte("["), data...), ']'), nil))
	switch {
	case err != nil:
		return Pump{}, "", err
	case len(f.Roster.Pumps) != 1:
		return Pump{}, "", config.Problems{{File: "pump.json", Line: 1, Column: 1, What: "this is not one pump", Right: `{"id": …}`}}
	}
	p = f.Roster.Pumps[0]
	return p, f.Keys[p.ID], nil
}
