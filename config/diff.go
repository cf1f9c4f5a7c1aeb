package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Change is one setting that differs between two configurations. Old and New are as
// [Config.YAML] writes them; secrets are hidden.
type Change struct {
	Key      string // path, as pulse.min
	Old, New string
	Restart  bool // takes effect only when the program starts anew
}

// String tells the change in one line.
func (c Change) String() string {
	s := fmt.Sprintf("%s: %s → %s", c.Key, c.Old, c.New)
	if c.Restart {
		s += " (needs a restart)"
	}
	return s
}

// StreamChange is one stream that is in both configurations and differs.
type StreamChange struct {
	Old, New Stream
	Changes  []Change // keys within the stream, as publish.user

	// Source is whether the source must be started anew; viewers are held
	// meanwhile. Other changes apply to the running stream.
	Source bool
}

// Difference is what a reload has to do. Streams are matched by path, without case;
// a disabled stream counts as absent.
type Difference struct {
	Added, Removed []Stream
	Changed        []StreamChange
	Settings       []Change // outside the streams
}

// Empty reports whether there is nothing to do.
func (d Difference) Empty() bool {
	return len(d.Added)+len(d.Removed)+len(d.Changed)+len(d.Settings) == 0
}

// NeedRestart returns the changes a reload cannot apply.
func (d Difference) NeedRestart() []Change {
	var list []Change
	for _, c := range d.Settings {
		if c.Restart {
			list = append(list, c)
		}
	}
	return list
}

// restartKeys are the settings that are read once, at the start.
var restartKeys = map[string]bool{
	"port": true, "listen": true, "ssl": true, "ssl_port": true,
	"admin.listen": true, "egress": true, "event_loops": true, "log.format": true,
}

// sourceKeys are the keys of a stream that say where it comes from.
var sourceKeys = map[string]bool{
	"type": true, "source_options": true, "sources": true, "file": true, "proxy": true,
}

// Diff compares two configurations.
func Diff(old, new *Config) Difference {
	var d Difference
	settings(reflect.ValueOf(old).Elem(), reflect.ValueOf(new).Elem(), "", &d.Settings)
	before, after := byPath(old), byPath(new)
	for _, s := range new.Streams {
		if was, found := before[strings.ToLower(s.Path)]; s.Enabled && !found {
			d.Added = append(d.Added, s)
		} else if s.Enabled {
			d.compare(was, s)
		}
	}
	for _, s := range old.Streams {
		if _, found := after[strings.ToLower(s.Path)]; s.Enabled && !found {
			d.Removed = append(d.Removed, s)
		}
	}
	return d
}

func byPath(c *Config) map[string]Stream {
	m := map[string]Stream{}
	for _, s := range c.Streams {
		if s.Enabled {
			m[strings.ToLower(s.Path)] = s
		}
	}
	return m
}

func (d *Difference) compare(old, new Stream) {
	c := StreamChange{Old: old, New: new}
	settings(reflect.ValueOf(old), reflect.ValueOf(new), "", &c.Changes)
	if len(c.Changes) == 0 {
		return
	}
	c.Source = slices.ContainsFunc(c.Changes, func(x Change) bool {
		return sourceKeys[x.Key]
	})
	d.Changed = append(d.Changed, c)
}

// settings appends what differs between two structs of one type; structs within are
// told by their keys, lists and sources as a whole.
func settings(old, new reflect.Value, path string, to *[]Change) {
	for i := range old.NumField() {
		key := old.Type().Field(i).Tag.Get("yaml")
		a, b := old.Field(i), new.Field(i)
		if key == "-" || isStructs(a.Type()) && a.Type().Elem() == reflect.TypeFor[Stream]() || same(a, b) {
			continue
		}
		at := join(path, key)
		if a.Kind() == reflect.Struct {
			settings(a, b, at, to)
			continue
		}
		*to = append(*to, Change{Key: at, Old: inline(a, key), New: inline(b, key), Restart: restartKeys[at]})
	}
}

// same is reflect.DeepEqual with an empty list equal to none.
func same(a, b reflect.Value) bool {
	if a.Kind() == reflect.Slice && a.Len() == 0 && b.Len() == 0 {
		return true
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

// inline renders a value in one line for a person.
func inline(v reflect.Value, key string) string {
	if v.Kind() == reflect.Pointer && v.IsNil() {
		return "default"
	}
	v = reflect.Indirect(v)
	if v.Kind() == reflect.Struct || isStructs(v.Type()) {
		return summary(v)
	}
	e := emitter{redact: true}
	e.value(v, key, 0)
	return strings.TrimSpace(e.b.String())
}

// summary is a source, or a list of them, in few words.
func summary(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case Source:
		if x.URL != "" {
			return redactURL(x.URL)
		}
		if x.Host != "" {
			return fmt.Sprintf("%s:%d%s", x.Host, x.Port, x.Path)
		}
		return strings.TrimSpace(x.Type + " " + x.File)
	case []Source:
		var words []string
		for _, s := range x {
			words = append(words, summary(reflect.ValueOf(s)))
		}
		return "[" + strings.Join(words, ", ") + "]"
	}
	return v.Type().Name()
}
