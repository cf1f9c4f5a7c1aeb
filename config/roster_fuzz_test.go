package config

import (
	"errors"
	"testing"
)

// A roster is read, or refused with problems that have a place and show no key.
func FuzzRoster(f *testing.F) {
	f.Add("r.json", roster2011)
	f.Add("r.json", roster2011[:150])
	f.Add("r.yaml", "pumps: [{id: a, parents: b}]\nexpect: [\"::1 → a\", {address: 10.0.0.1, pump: none}]\n")
	f.Add("r", "/* */ [{id: 1, networks: [{cidr: '10.0.0.0/8'}]}]")
	f.Fuzz(func(t *testing.T, name, text string) {
		r, err := ParseRoster(name, []byte(text), nil)
		var problems Problems
		switch {
		case err == nil:
			for _, p := range r.Pumps {
				if p.ID == "" {
					t.Error("a pump without an id passes")
				}
			}
		case !errors.As(err, &problems) || len(problems) == 0:
			t.Errorf("%v", err)
		}
	})
}

func FuzzHouse(f *testing.F) {
	f.Add("h.json", house2011)
	f.Add("h.yaml", "users: [{name: a}]\nnats: {cluster: {listen: \":1\"}}\n")
	f.Fuzz(func(t *testing.T, name, text string) {
		h, err := ParseHouse(name, []byte(text), nil)
		if err != nil {
			return
		}
		if _, err := ParseHouse("again.yaml", h.YAML(false), nil); err != nil {
			t.Errorf("%s\n%v", h.YAML(false), err)
		}
	})
}
