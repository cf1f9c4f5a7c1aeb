package config

import (
	"bytes"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// YAML returns the configuration with every setting written out, in the order of
// the documentation. [Parse] reads it back to the same Config, unless redact is
// set: then passwords are ***, also those within addresses.
func (c *Config) YAML(redact bool) []byte {
	e := emitter{redact: redact}
	e.fields(reflect.ValueOf(c).Elem(), 0, false)
	return e.b.Bytes()
}

type emitter struct {
	b      bytes.Buffer
	redact bool
}

// fields writes the fields of a struct, one a line; inList lets the first one
// continue the line of its dash.
func (e *emitter) fields(v reflect.Value, indent int, inList bool) {
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("yaml")
		f := v.Field(i)
		if key == "-" || (f.Kind() == reflect.Pointer && f.IsNil()) || unsaid(v, f, key) {
			continue
		}
		if !inList {
			e.b.WriteString(strings.Repeat("  ", indent))
		}
		inList = false
		e.b.WriteString(key + ":")
		e.value(reflect.Indirect(f), key, indent)
	}
}

// unsaid reports whether a key of a stream or a source is left out: it is empty, or
// the default of a source that has no use for it.
func unsaid(v, f reflect.Value, key string) bool {
	switch s := v.Interface().(type) {
	case Source:
		fallback := reflect.ValueOf(defaultSource())
		return f.IsZero() || s.Host == "" && f.Equal(fallback.Field(fieldByKey(v.Type(), key)))
	case Stream:
		return f.IsZero() && key != "enabled" && key != "return_after"
	case Publish, Play, User, Token, SigningKey, StreamLimits, StreamLag, StreamBurst:
		return f.IsZero()
	}
	return false
}

func (e *emitter) value(v reflect.Value, key string, indent int) {
	switch x := v.Interface().(type) {
	case string:
		e.line(e.string(x, key))
	case Secret:
		if e.redact && x != "" {
			x = "***"
		}
		e.line(quoted(string(x)))
	case int:
		e.line(strconv.Itoa(x))
	case bool:
		e.line(strconv.FormatBool(x))
	case Duration:
		e.line(x.String())
	case Size:
		e.line(x.String())
	case Bandwidth:
		e.line(x.String())
	case Uplink:
		e.line(x.String())
	case []string:
		words := make([]string, len(x))
		for i := range x {
			words[i] = quoted(x[i])
		}
		e.line("[" + strings.Join(words, ", ") + "]")
	case Names:
		e.value(reflect.ValueOf([]string(x)), key, indent)
	case []netip.Prefix:
		words := make([]string, len(x))
		for i := range x {
			words[i] = quoted(x[i].String())
		}
		e.line("[" + strings.Join(words, ", ") + "]")
	default:
		e.nested(v, indent)
	}
}

func (e *emitter) nested(v reflect.Value, indent int) {
	if v.Kind() == reflect.Struct {
		e.b.WriteByte('\n')
		e.fields(v, indent+1, false)
		return
	}
	if v.Len() == 0 {
		e.line("[]")
		return
	}
	e.b.WriteByte('\n')
	for i := range v.Len() {
		e.b.WriteString(strings.Repeat("  ", indent+1) + "- ")
		e.fields(v.Index(i), indent+2, true)
	}
}

func (e *emitter) line(s string) { e.b.WriteString(" " + s + "\n") }

func (e *emitter) string(s, key string) string { return quoted(e.text(s, key)) }

// text is a text as it may be shown.
func (e *emitter) text(s, key string) string {
	if e.redact && s != "" {
		if isSecret(key) {
			return "***"
		}
		switch key {
		case "url", "redirect_404_to", "fallback_url":
			s = redactURL(s)
		}
	}
	return s
}

// redactURL hides user information and every value of the query: the file does not
// tell which of them is a secret.
func redactURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "***"
	}
	if u.User != nil {
		u.User = url.User("***")
	}
	if u.RawQuery != "" {
		q := u.Query()
		for k := range q {
			q[k] = []string{"***"}
		}
		u.RawQuery = q.Encode()
	}
	return strings.ReplaceAll(u.String(), "%2A%2A%2A", "***")
}

var bareWord = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9_./-]*$`)

// quoted returns s as a YAML scalar that is read as text.
func quoted(s string) string {
	switch strings.ToLower(s) {
	case "true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf":
	default:
		if bareWord.MatchString(s) {
			return s
		}
	}
	return strconv.Quote(s)
}
