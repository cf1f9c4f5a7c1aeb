package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Effect is when a change comes into force, and who notices. The set is closed.
type Effect string

// The effects.
const (
	EffectLive    Effect = "live"    // at once; nobody is disturbed
	EffectNext    Effect = "next"    // for streams and sources that start from now on
	EffectSource  Effect = "source"  // the source starts anew; viewers of the stream are held meanwhile
	EffectEnd     Effect = "end"     // the stream ends; its viewers get its end
	EffectRestart Effect = "restart" // cannot change at run time
)

// Disturbs tells whether viewers notice.
func (e Effect) Disturbs() bool { return e == EffectSource || e == EffectEnd }

// What happens to a key or a stream.
const (
	Added   = "added"
	Removed = "removed"
	Changed = "changed"
)

// Change is one thing that differs between two configurations: a setting, a key of a
// stream, or a whole stream that is added or removed. Old and New are as [Config.YAML]
// writes them with secrets hidden, both empty for a whole stream and where only a hidden
// part differs.
type Change struct {
	Stream   string // path of the stream, empty for a setting of the pump
	Key      string // path, as pulse.min; within the stream if there is one, empty for all of it
	What     string // Added, Removed or Changed
	Old, New string
	Effect   Effect
}

// String tells the change in one line.
func (c Change) String() string {
	s := c.Key
	if c.Stream != "" {
		s = strings.TrimSpace("stream " + c.Stream + " " + c.Key)
	}
	switch {
	case c.Key == "" || c.Old == c.New:
		s += ": " + c.What
	default:
		s += fmt.Sprintf(": %s → %s", c.Old, c.New)
	}
	if c.Effect == EffectRestart {
		s += " (needs a restart)"
	}
	return s
}

// StreamChange is one stream that is in both configurations and differs.
type StreamChange struct {
	Old, New Stream
	Changes  []Change

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

// Changes returns the whole difference as one list: settings in the order of the
// documentation, then streams that go, change and come.
func (d Difference) Changes() []Change {
	list := slices.Clone(d.Settings)
	for _, s := range d.Removed {
		list = append(list, Change{Stream: s.Path, What: Removed, Effect: EffectEnd})
	}
	for _, s := range d.Changed {
		list = append(list, s.Changes...)
	}
	for _, s := range d.Added {
		list = append(list, Change{Stream: s.Path, What: Added, Effect: EffectLive})
	}
	return list
}

// NeedRestart returns the changes a reload cannot apply.
func (d Difference) NeedRestart() []Change {
	return slices.DeleteFunc(d.Changes(), func(c Change) bool { return c.Effect != EffectRestart })
}

// Diff compares two configurations.
func Diff(old, new *Config) Difference {
	var d Difference
	settings(reflect.ValueOf(old).Elem(), reflect.ValueOf(new).Elem(), "", &d.Settings)
	if old.House.On() != new.House.On() {
		joins(d.Settings)
	}
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

// joins notes that a pump which joins a fleet or leaves it has to be restarted, though a member may be told of another
// way to its house.
func joins(list []Change) {
	for i := range list {
		if strings.HasPrefix(list[i].Key, "house.") {
			list[i].Effect = EffectRestart
		}
	}
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
	for i := range c.Changes {
		c.Changes[i].Stream = old.Path
		c.Source = c.Source || c.Changes[i].Effect == EffectSource
	}
	d.Changed = append(d.Changed, c)
}

// settings appends what differs between two structs of one type; structs within are
// told by their keys, lists and sources as a whole.
func settings(old, new reflect.Value, path string, to *[]Change) {
	for i := range old.NumField() {
		tag := old.Type().Field(i).Tag
		key := tag.Get("yaml")
		a, b := old.Field(i), new.Field(i)
		if key == "-" || isStreams(a.Type()) || same(a, b) {
			continue
		}
		at := join(path, key)
		if a.Kind() == reflect.Struct && tag.Get("reload") == "" {
			settings(a, b, at, to)
			continue
		}
		c := Change{Key: at, What: Changed, Old: inline(a, key), New: inline(b, key), Effect: Effect(tag.Get("reload"))}
		if c.Old == c.New {
			c.Old, c.New = "", ""
		}
		*to = append(*to, c)
	}
}

func isStreams(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem() == reflect.TypeFor[Stream]()
}

// Keeping returns new with every key that cannot change at run time as old has it: what
// is in force once everything else is applied.
func Keeping(old, new *Config) *Config {
	c := *new
	keep(reflect.ValueOf(old).Elem(), reflect.ValueOf(&c).Elem())
	if old.House.On() != new.House.On() {
		c.House = old.House
	}
	before := byPath(old)
	c.Streams = slices.Clone(new.Streams)
	for i := range c.Streams {
		if was, found := before[strings.ToLower(c.Streams[i].Path)]; found && c.Streams[i].Enabled {
			keep(reflect.ValueOf(was), reflect.ValueOf(&c.Streams[i]).Elem())
		}
	}
	return &c
}

func keep(old, in reflect.Value) {
	for i := range in.NumField() {
		switch {
		case Effect(in.Type().Field(i).Tag.Get("reload")) == EffectRestart:
			in.Field(i).Set(old.Field(i))
		case in.Field(i).Kind() == reflect.Struct:
			keep(old.Field(i), in.Field(i))
		}
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

// named is a list by the names in it.
func named[T any](list []T, name func(T) string) string {
	var words []string
	for _, x := range list {
		words = append(words, name(x))
	}
	return "[" + strings.Join(words, ", ") + "]"
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
	case []User:
		return named(x, func(u User) string { return u.Name })
	case []Token:
		return named(x, func(t Token) string { return t.Name })
	case []SigningKey:
		return named(x, func(k SigningKey) string { return k.Name })
	case []Source:
		var words []string
		for _, s := range x {
			words = append(words, summary(reflect.ValueOf(s)))
		}
		return "[" + strings.Join(words, ", ") + "]"
	}
	return v.Type().Name()
}
