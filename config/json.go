package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
)

// JSON returns what is said of a stream as one object, which [ParseStream] reads back. With
// redact secrets are ***.
func (s *Stream) JSON(redact bool) []byte { return toJSON(reflect.ValueOf(s).Elem(), redact) }

// JSON returns the keys as one object.
func (s *Signing) JSON() []byte { return toJSON(reflect.ValueOf(s).Elem(), false) }

func toJSON(v reflect.Value, redact bool) []byte {
	w := jsonWriter{emitter: emitter{redact: redact}}
	w.object(v)
	return w.b.Bytes()
}

// jsonWriter writes what the emitter would say, as JSON in one line.
type jsonWriter struct{ emitter }

func (w *jsonWriter) object(v reflect.Value) {
	w.b.WriteByte('{')
	comma := false
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("yaml")
		f := v.Field(i)
		if key == "-" || (f.Kind() == reflect.Pointer && f.IsNil()) || unsaid(v, f, key) {
			continue
		}
		if comma {
			w.b.WriteByte(',')
		}
		comma = true
		w.plain(key)
		w.b.WriteByte(':')
		w.value(reflect.Indirect(f), key)
	}
	w.b.WriteByte('}')
}

func (w *jsonWriter) value(v reflect.Value, key string) {
	switch x := v.Interface().(type) {
	case string:
		w.plain(w.text(x, key))
	case netip.Prefix:
		w.plain(x.String())
	case fmt.Stringer: // durations, sizes, bandwidths
		w.plain(x.String())
	default:
		switch v.Kind() {
		case reflect.Struct:
			w.object(v)
		case reflect.Slice:
			w.b.WriteByte('[')
			for i := range v.Len() {
				if i > 0 {
					w.b.WriteByte(',')
				}
				w.value(v.Index(i), key)
			}
			w.b.WriteByte(']')
		default: // numbers, true and false
			fmt.Fprint(&w.b, v.Interface())
		}
	}
}

func (w *jsonWriter) plain(s string) {
	b, err := json.Marshal(s)
	if err != nil { // a string always can be
		panic(fmt.Sprintf("config: writing text: %v", err))
	}
	w.b.Write(b)
}

// ParseStream reads one stream, an object as it stands in a configuration, as strictly as
// there. signing says which keys there are for signed addresses. Secrets that are *** are
// taken from before, which may be nil: so whoever was shown a stream can send it back
// changed.
func ParseStream(name string, data []byte, signing Signing, before *Stream) (*Stream, error) {
	d := newDecoderOf(name, &houseForm)
	c := Config{Streams: []Stream{defaultStream()}, Signing: signing, SSL: true, SSLClientCA: "the pumps'"}
	const at = "streams[0]"
	if root := d.tree(name, bytes.TrimSpace(data)); root != nil {
		if before != nil {
			restore(root, reflect.ValueOf(before).Elem())
		}
		d.value(root, reflect.ValueOf(&c.Streams[0]).Elem(), at)
		d.checkStream(&c.Streams[0], at)
		d.checkAccess(&c)
	}
	if len(d.problems) > 0 {
		return nil, d.problems.finish(name)
	}
	return &c.Streams[0], nil
}

// restore puts secrets back in their places, as far as the lists around them are as they were.
func restore(n *node, before reflect.Value) {
	switch {
	case n.kind == kindMap && before.Kind() == reflect.Struct:
		for i := range n.fields {
			f := &n.fields[i]
			at := fieldByKey(before.Type(), f.key)
			if at < 0 {
				continue
			}
			was := reflect.Indirect(before.Field(at))
			if !was.IsValid() {
				continue
			}
			if f.value.kind == kindText && was.Kind() == reflect.String {
				f.value = restored(f.value, f.key, was.String())
				continue
			}
			restore(f.value, was)
		}
	case n.kind == kindList && before.Kind() == reflect.Slice:
		for i := range min(len(n.items), before.Len()) {
			restore(n.items[i], before.Index(i))
		}
	}
}

func restored(n *node, key, was string) *node {
	if was == "" || !(isSecret(key) && n.text == "***" || strings.Contains(n.text, "***") && redactURL(was) == n.text) {
		return n
	}
	c := *n
	c.text = was
	return &c
}
