package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
)

// form is a kind of file: what it holds, and by which rules.
type form struct {
	root       reflect.Type
	env        string // how variables of its settings begin
	envExample string
	least      string          // what a file has to say at least, for a problem
	rules      map[string]rule // its own; where there is none, those of stream-pump hold
	maxBytes   int
	maxNodes   int
	literal    bool // JSON is read with comments and without quotes around keys, as in 2011

	entries map[reflect.Type]func() reflect.Value // lists of mappings, with what a fresh entry has
}

// pumpForm is the configuration of stream-pump.
var pumpForm = form{
	root: reflect.TypeFor[Config](), env: envPrefix, envExample: "PULSE_MIN",
	least: "at least a list of streams", maxBytes: MaxFileBytes, maxNodes: maxNodes,
}

func newDecoderOf(file string, f *form) *decoder {
	return &decoder{file: file, where: map[string]position{}, present: map[string]bool{}, broken: map[string]bool{}, form: f}
}

// read turns data into nodes, in the language that its name or its beginning tells.
func (f *form) read(d *decoder, name string, data []byte) *node {
	switch {
	case isScript(name, data):
		return d.script(name, string(data))
	case f.literal && isLiteral(name, data):
		return d.literal(name, string(data))
	case len(data) > MaxFileBytes: // the parser takes far longer than that of JSON
		d.problem(position{name, 1, 1}, "the file is too long for YAML", fmt.Sprintf("at most %s, or JSON", Size(MaxFileBytes)))
		return nil
	}
	return d.yaml(name, string(data))
}

// isLiteral tells whether data is JSON, or JSON as people write it.
func isLiteral(name string, data []byte) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".json":
		return true
	case ".yaml", ".yml":
		return false
	}
	text := strings.TrimSpace(string(data[:min(len(data), 4096)]))
	for _, start := range []string{"{", "[", "//", "/*"} {
		if strings.HasPrefix(text, start) {
			return true
		}
	}
	return false
}

// entry returns what makes a fresh entry of a list of mappings, nil if t is none.
func (f *form) entry(t reflect.Type) func() reflect.Value { return f.entries[t] }

// rule returns what the setting at path must satisfy.
func (d *decoder) rule(path string) rule {
	if r, own := d.form.rules[index.ReplaceAllString(path, "[]")]; own {
		return r
	}
	return ruleOf(path)
}
