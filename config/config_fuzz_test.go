package config

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

func seeds(f *testing.F, extension string) {
	archive, err := txtar.ParseFile("testdata/problems.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archive.Files {
		if strings.HasSuffix(file.Name, extension) {
			f.Add(file.Data)
		}
	}
}

// sound fails unless what Parse returned is either problems with sensible positions
// or a configuration that survives being written and read.
func sound(t *testing.T, name string, data []byte) {
	c, err := Parse(name, data, nil)
	if err != nil {
		var problems Problems
		if !errors.As(err, &problems) || len(problems) == 0 || len(problems) > maxProblems {
			t.Fatalf("not problems: %v", err)
		}
		lines := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + 1
		for _, p := range problems {
			if p.What == "" || p.Line < 0 || p.Line > lines || (p.Line > 0) != (p.Column > 0) {
				t.Fatalf("position of %+v in %d lines", p, lines)
			}
		}
		return
	}
	again, err := Parse("again.yaml", c.YAML(false), nil)
	if err != nil {
		t.Fatalf("written configuration does not read: %v\n%s", err, c.YAML(false))
	}
	if !reflect.DeepEqual(without(c), without(again)) {
		t.Fatalf("written configuration differs:\n%s\n%s", c.YAML(false), again.YAML(false))
	}
}

func FuzzParseYAML(f *testing.F) {
	seeds(f, ".yaml")
	for _, name := range []string{"stream-pump.yaml", "minimal.yaml"} {
		data, err := os.ReadFile("../examples/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("a: &a [1]\nb: &b [*a,*a]\nc: [*b,*b]\nstreams: []\n"))
	f.Add([]byte("streams:\n- &s {type: test_card, path: a}\n- <<: *s\n  path: b\n"))
	f.Fuzz(func(t *testing.T, data []byte) { sound(t, "fuzz.yaml", data) })
}

func FuzzParseScript(f *testing.F) {
	seeds(f, ".js")
	data, err := os.ReadFile("../examples/config.js")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte("'use strict';\nvar c = {port: 0x1F90, streams: [],};\nmodule.exports = exports = {config: c};\n"))
	f.Fuzz(func(t *testing.T, data []byte) { sound(t, "fuzz.js", data) })
}
