package config

import (
	"errors"
	"path/filepath"
	"reflect"
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

// A configuration that is read can be written, and is read again. The name tells how it is
// written; its folder, the operator's, becomes part of settings, and is not what is tried here.
func FuzzHouse(f *testing.F) {
	f.Add("h.json", house2011)
	f.Add("h.yaml", "users: [{name: a}]\nnats: {cluster: {listen: \":1\"}}\n")
	f.Fuzz(func(t *testing.T, name, text string) {
		h, err := ParseHouse("house"+filepath.Ext(name), []byte(text), nil)
		if err != nil {
			return
		}
		if _, err := ParseHouse("again.yaml", h.YAML(false), nil); err != nil {
			t.Errorf("%s\n%v", h.YAML(false), err)
		}
	})
}

// A stream that a program sends is read, or refused with problems; one that is read comes
// back the same when it is sent again, secrets hidden or not.
func FuzzParseStream(f *testing.F) {
	f.Add(`{"path": "a", "type": "test_card"}`)
	f.Add(`{"name": "Pull", "type": "mmsh_pull", "path": "b", "source_options": {"host": "h", "port": "80", "path": "/"}}`)
	f.Add(`{"path": "c", "type": "mmsh_push", "publish": {"users": [{"name": "u", "password": "secret"}]}}`)
	f.Add(`{"path": "d", "type": "mmsh_pull", "sources": [{"url": "mmsh://u:secret@[::1]/x"}], "play": {"networks": ["10.0.0.0/8"]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseStream("stream.json", []byte(text), Signing{}, nil)
		if err != nil {
			var problems Problems
			if !errors.As(err, &problems) || len(problems) == 0 || len(problems) > maxProblems {
				t.Errorf("not problems: %v", err)
			}
			return
		}
		for _, hidden := range []bool{false, true} {
			again, err := ParseStream("again.json", s.JSON(hidden), Signing{}, s)
			if err != nil {
				t.Fatalf("hidden %v: %s\n%v", hidden, s.JSON(hidden), err)
			}
			if !reflect.DeepEqual(s, again) {
				t.Fatalf("hidden %v:\n%s\n%s", hidden, s.JSON(false), again.JSON(false))
			}
		}
	})
}
