package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

const envPrefix = "STREAM_PUMP_"

// ReservedEnv are beginnings of variables, after STREAM_PUMP_, that are not
// settings. SERVICE_ and PORT_ are what Kubernetes sets for a service of this name.
var ReservedEnv = []string{"FIXTURES", "TEST_", "INTERNAL_", "SERVICE_", "PORT_"}

// environment returns root with the settings of env put in. An empty variable is as
// none at all.
func (d *decoder) environment(root *node, env []string) *node {
	vars := slices.Clone(env)
	slices.Sort(vars)
	for _, v := range vars {
		name, value, _ := strings.Cut(v, "=")
		rest, found := strings.CutPrefix(name, d.form.env)
		if !found || value == "" || reserved(rest, value) {
			continue
		}
		path := keysOfEnv(d.form.root, rest)
		at := position{file: name}
		if path == nil {
			d.problem(at, "no setting has this name", d.form.nearestEnv(rest))
			continue
		}
		n := &node{kind: kindEnv, at: at, text: value, size: 1}
		changed, err := put(root, path, n)
		if err != nil {
			d.problem(at, err.Error(), "")
			continue
		}
		root = changed
	}
	return root
}

func reserved(rest, value string) bool {
	if rest == "PORT" && strings.Contains(value, "://") {
		return true // Kubernetes again: tcp://10.0.0.1:8086
	}
	return slices.ContainsFunc(ReservedEnv, func(p string) bool { return strings.HasPrefix(rest, p) })
}

// keysOfEnv turns PULSE_MIN into the keys pulse and min, and STREAMS_0_PATH into
// streams, 0 and path; nil when t has no such scalar.
func keysOfEnv(t reflect.Type, rest string) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if isStructs(t) {
		digits, tail, found := strings.Cut(rest, "_")
		if _, err := strconv.ParseUint(digits, 10, 16); err != nil || !found {
			return nil
		}
		if keys := keysOfEnv(t.Elem(), tail); keys != nil {
			return append([]string{digits}, keys...)
		}
		return nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		key := f.Tag.Get("yaml")
		tail, found := strings.CutPrefix(rest, strings.ToUpper(key))
		if key == "-" || !found {
			continue
		}
		if tail == "" && !isStruct(f.Type) && !isStructs(f.Type) {
			return []string{key}
		}
		if tail, found = strings.CutPrefix(tail, "_"); found && (isStruct(f.Type) || isStructs(f.Type)) {
			if keys := keysOfEnv(f.Type, tail); keys != nil {
				return append([]string{key}, keys...)
			}
		}
	}
	return nil
}

func isStruct(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct
}

// isStructs tells the lists of streams and sources from lists of words.
func isStructs(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().PkgPath() == reflect.TypeFor[Config]().PkgPath()
}

// EnvNames returns the variables of all settings outside the streams, sorted.
func EnvNames() []string { return pumpForm.envNames() }

func (f *form) envNames() []string {
	names := envNames(f.root, f.env)
	slices.Sort(names)
	return names
}

func envNames(t reflect.Type, prefix string) []string {
	var names []string
	for i := range t.NumField() {
		f := t.Field(i)
		key := f.Tag.Get("yaml")
		name := prefix + strings.ToUpper(key)
		switch {
		case key == "-" || isStructs(f.Type):
		case isStruct(f.Type):
			names = append(names, envNames(f.Type, name+"_")...)
		default:
			names = append(names, name)
		}
	}
	return names
}

func (f *form) nearestEnv(rest string) string {
	var names []string
	for _, n := range f.envNames() {
		names = append(names, strings.ToLower(strings.TrimPrefix(n, f.env)))
	}
	said := nearest(rest, names)
	if word, found := strings.CutPrefix(said, "did you mean "); found {
		word = strings.Trim(word, "\"?")
		return fmt.Sprintf("did you mean %s%s?", f.env, strings.ToUpper(word))
	}
	return "a setting's path in upper case, as in " + f.env + f.envExample
}

// put returns a copy of root in which the value at keys is n; what is not on the
// way is shared with root, which may itself be shared by aliases.
func put(root *node, keys []string, n *node) (*node, error) {
	if len(keys) == 0 {
		return n, nil
	}
	if i, err := strconv.Atoi(keys[0]); err == nil {
		if root == nil || root.kind != kindList || i >= len(root.items) {
			return nil, fmt.Errorf("the list has no entry %d, counted from 0", i)
		}
		c := *root
		c.items = slices.Clone(root.items)
		c.items[i], err = put(root.items[i], keys[1:], n)
		return &c, err
	}
	c := node{kind: kindMap, at: n.at, size: 1}
	if root != nil && root.kind == kindMap {
		c = *root
		c.fields = slices.Clone(root.fields)
	}
	i := slices.IndexFunc(c.fields, func(f field) bool { return f.key == keys[0] })
	if i < 0 {
		c.fields = append(c.fields, field{key: keys[0], at: n.at})
		i = len(c.fields) - 1
	}
	v, err := put(c.fields[i].value, keys[1:], n)
	c.fields[i].value = v
	return &c, err
}
