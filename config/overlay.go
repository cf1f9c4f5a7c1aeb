package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stream-pump/stream-pump/internal/disk"
)

// Overlay returns c with what a pump house wants laid over it: an object in the language of
// the configuration, of which only the keys in allowed are taken. name stands in problems in
// place of a file's. The house's streams come in place of none of c's own: a stream of c
// with the same path wins, and is told of in shadowed. c is not changed. What is wrong comes
// as [Problems], all of it.
func (c *Config) Overlay(name string, settings []byte, allowed []string) (over *Config, shadowed []string, err error) {
	return c.overlay(name, settings, allowed, disk.Usable)
}

func (c *Config) overlay(name string, settings []byte, allowed []string, exists func(string) error) (over *Config, shadowed []string, err error) {
	d := newDecoder(name)
	next := *c
	next.Streams, next.Signing = nil, Signing{}
	if root := d.tree(name, settings); root != nil {
		d.onlyKeys(root, allowed)
		d.root(root, &next)
		next.Signing.Keys = withKeys(next.Signing.Keys, c.Signing.Keys)
		d.check(&next)
		next.join(next.streamFiles())
		d.files(next.streamFiles(), exists)
	}
	if len(d.problems) > 0 {
		return nil, nil, d.problems.finish(name)
	}
	next.Streams, shadowed = behind(c.Streams, next.Streams)
	return &next, shadowed, nil
}

// onlyKeys notes keys that the house has no say in, and takes them out.
func (d *decoder) onlyKeys(root *node, allowed []string) {
	var rest []field
	for _, f := range root.fields {
		if !slices.Contains(allowed, f.key) {
			d.problem(f.at, fmt.Sprintf("key %q is not for a house to say", f.key), "one of "+strings.Join(allowed, ", "))
			continue
		}
		rest = append(rest, f)
	}
	root.fields = rest
}

// withKeys adds the pump's own signing keys to those of the house, by name.
func withKeys(house, own []SigningKey) []SigningKey {
	for _, k := range own {
		if !slices.ContainsFunc(house, func(h SigningKey) bool { return h.Name == k.Name }) {
			house = append(house, k)
		}
	}
	return house
}

// behind puts the house's streams behind the own ones, but for those whose path is taken.
func behind(own, house []Stream) (list []Stream, shadowed []string) {
	taken := map[string]bool{}
	for _, s := range own {
		if s.Enabled {
			taken[strings.ToLower(s.Path)] = true
		}
	}
	list = slices.Clone(own)
	for _, s := range house {
		if s.Enabled && taken[strings.ToLower(s.Path)] {
			shadowed = append(shadowed, s.Path)
			continue
		}
		list = append(list, s)
	}
	return list, shadowed
}
