package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
)

// decoder fills a Config from nodes and collects all that is wrong on the way.
type decoder struct {
	file     string
	problems Problems
	where    map[string]position // of every value met, by path: streams[0].path
	present  map[string]bool     // paths that were given more than nothing
	broken   map[string]bool     // paths of streams that are no mapping at all
	form     *form
}

func newDecoder(file string) *decoder {
	return newDecoderOf(file, &pumpForm)
}

func (d *decoder) problem(at position, what, right string) {
	d.problems = append(d.problems, Problem{File: at.file, Line: at.line, Column: at.column, What: what, Right: right})
}

// at returns where the value at path stands, or the nearest value around it that
// the file has.
func (d *decoder) at(path string) position {
	for {
		if p, ok := d.where[path]; ok {
			return p
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return position{d.file, 1, 1}
		}
		path = path[:i]
	}
}

// given reports whether the file says something at path, right or wrong.
func (d *decoder) given(path string) bool { return d.present[path] }

func (d *decoder) root(n *node, c *Config) {
	if n.kind != kindMap {
		d.problem(n.at, "a configuration is a mapping of settings, not "+n.kind.String(), "key: value")
		return
	}
	d.mapping(n, reflect.ValueOf(c).Elem(), "")
	if !d.given("streams") && !c.House.On() && !d.given("house") {
		d.problem(n.at, "streams is missing", "a list of streams; [] for none")
	}
}

// value decodes n into v. path names v, as in streams[0].limits.viewers; "" is the root.
func (d *decoder) value(n *node, v reflect.Value, path string) {
	d.where[path] = n.at
	if n.kind == kindNull {
		return
	}
	d.present[path] = true
	switch p := v.Addr().Interface().(type) {
	case *Duration, *Size, *Bandwidth, *Uplink, *string, *int, *bool:
		d.scalar(n, p, path)
	case *Secret:
		d.scalar(n, (*string)(p), path)
	case *[]string:
		d.addresses(n, p, path)
	case *Names:
		d.names(n, p, path)
	case *[]netip.Prefix:
		d.networks(n, p, path)
	case *[]Stream:
		d.list(n, v, path, func() reflect.Value { return reflect.ValueOf(defaultStream()) })
	case *[]Source:
		d.list(n, v, path, func() reflect.Value { return reflect.ValueOf(defaultSource()) })
	case **Source:
		*p = new(defaultSource())
		d.value(n, v.Elem(), path)
	case *Admin:
		d.admin(n, v, path)
	case *RosterNetwork:
		d.network(n, v, path)
	case *RosterExpect:
		d.expectation(n, v, path)
	case *netip.Prefix:
		d.prefix(n, p, path)
	case *netip.Addr:
		d.address(n, p, path)
	default:
		if fresh := d.form.entry(v.Type()); fresh != nil {
			d.list(n, v, path, fresh)
			return
		}
		if isStructs(v.Type()) {
			d.list(n, v, path, func() reflect.Value { return reflect.Zero(v.Type().Elem()) })
			return
		}
		if v.Kind() == reflect.Pointer {
			v.Set(reflect.New(v.Type().Elem()))
			d.value(n, v.Elem(), path)
			return
		}
		d.mapping(n, v, path)
	}
}

// admin takes "off" and false besides a mapping.
func (d *decoder) admin(n *node, v reflect.Value, path string) {
	if n.kind == kindBool && n.text == "false" || n.kind == kindText && n.text == "off" {
		v.Addr().Interface().(*Admin).Listen = ""
		return
	}
	d.mapping(n, v, path)
}

func (d *decoder) mapping(n *node, v reflect.Value, path string) {
	if n.kind != kindMap {
		d.broken[path] = true
		d.problem(n.at, fmt.Sprintf("%s must be a mapping, not %s", lastKey(path), n.kind), "of "+strings.Join(keysOf(v.Type()), ", "))
		return
	}
	first := map[string]position{}
	for _, f := range n.fields {
		if at, again := first[f.key]; again {
			d.problem(f.at, fmt.Sprintf("key %q is given twice", f.key), fmt.Sprintf("it stands at line %d already", at.line))
			continue
		}
		first[f.key] = f.at
		i := fieldByKey(v.Type(), f.key)
		if i < 0 {
			d.problem(f.at, fmt.Sprintf("unknown key %q", f.key), nearest(f.key, keysOf(v.Type())))
			continue
		}
		d.value(f.value, v.Field(i), join(path, f.key))
	}
}

func (d *decoder) list(n *node, v reflect.Value, path string, fresh func() reflect.Value) {
	if n.kind != kindList {
		d.problem(n.at, fmt.Sprintf("%s must be a list, not %s", lastKey(path), n.kind), "each entry begins with a dash")
		return
	}
	if len(n.items) == 0 {
		v.SetZero()
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		list.Index(i).Set(fresh())
		at := fmt.Sprintf("%s[%d]", path, i)
		if item.kind == kindNull {
			d.where[at], d.broken[at] = item.at, true
			d.problem(item.at, fmt.Sprintf("an entry of %s is empty", lastKey(path)), "a mapping of "+strings.Join(keysOf(list.Index(i).Type()), ", "))
			continue
		}
		d.value(item, list.Index(i), at)
	}
	v.Set(list)
}

// words returns the entries of a list of words, which may also be one word, or in
// the environment words with commas between.
func (d *decoder) words(n *node, path string) []*node {
	switch n.kind {
	case kindList:
		for _, item := range n.items {
			if item.kind != kindText && item.kind != kindNumber {
				d.problem(item.at, fmt.Sprintf("an entry of %s must be text, not %s", lastKey(path), item.kind), "")
				return nil
			}
		}
		return n.items
	case kindEnv:
		var items []*node
		for s := range strings.SplitSeq(n.text, ",") {
			if s = strings.TrimSpace(s); s != "" {
				items = append(items, &node{kind: kindEnv, at: n.at, text: s})
			}
		}
		return items
	case kindText, kindNumber:
		return []*node{n}
	}
	d.problem(n.at, fmt.Sprintf("%s must be text or a list, not %s", lastKey(path), n.kind), "")
	return nil
}

func (d *decoder) addresses(n *node, to *[]string, path string) {
	var list []string
	for _, item := range d.words(n, path) {
		a, ok := listenAddress(item.text)
		if !ok {
			d.problem(item.at, fmt.Sprintf("%s %q is no address to listen at", lastKey(path), item.text), "host:port, as in :8086 or 127.0.0.1:8086")
			continue
		}
		d.where[fmt.Sprintf("%s[%d]", path, len(list))] = item.at
		d.present[fmt.Sprintf("%s[%d]", path, len(list))] = true
		list = append(list, a)
	}
	*to = list
}

func (d *decoder) networks(n *node, to *[]netip.Prefix, path string) {
	var list []netip.Prefix
	for _, item := range d.words(n, path) {
		p, err := parseNetwork(item.text)
		if err != nil {
			d.problem(item.at, fmt.Sprintf("%s %q is no network", lastKey(path), item.text), "as in 10.0.0.0/8 or 192.0.2.1")
			continue
		}
		list = append(list, p)
	}
	*to = list
}

func parseNetwork(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q is no address", s)
		}
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err
}

// fieldByKey returns the index of the field of t that key names, or -1.
func fieldByKey(t reflect.Type, key string) int {
	for i := range t.NumField() {
		if tag := t.Field(i).Tag.Get("yaml"); tag == key && tag != "-" {
			return i
		}
	}
	return -1
}

func keysOf(t reflect.Type) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var keys []string
	for i := range t.NumField() {
		if tag := t.Field(i).Tag.Get("yaml"); tag != "-" && tag != "" {
			keys = append(keys, tag)
		}
	}
	return keys
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// silent are the keys that say nothing in front of another one: lists, but for the first.
var silent = []string{"source_options", "streams[", "sources[", "pumps[", "expect[", "webhooks["}

// lastKey returns how a problem names the value at path: its key, with the one
// above where the key alone says little.
func lastKey(path string) string {
	parts := strings.Split(path, ".")
	last, _, _ := strings.Cut(parts[len(parts)-1], "[")
	if len(parts) > 1 {
		above := parts[len(parts)-2]
		if !slices.ContainsFunc(silent, func(s string) bool { return strings.HasPrefix(above, s) }) {
			above, _, _ = strings.Cut(above, "[")
			return above + "." + last
		}
	}
	return last
}
