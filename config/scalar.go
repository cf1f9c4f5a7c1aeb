package config

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// scalar decodes n into to, which points to one of the scalar types, and applies
// the rule of path.
func (d *decoder) scalar(n *node, to any, path string) {
	if n.kind == kindList || n.kind == kindMap {
		d.problem(n.at, fmt.Sprintf("%s must be %s, not %s", lastKey(path), describe(to), n.kind), d.rule(path).right())
		return
	}
	if n.kind == kindEnv && !utf8.ValidString(n.text) {
		d.problem(n.at, "the value is not UTF-8 text", "")
		return
	}
	switch p := to.(type) {
	case *bool:
		d.bool(n, p, path)
	case *string:
		d.text(n, p, path)
	case *int:
		measured(d, n, p, path, parseInt)
	case *Duration:
		measured(d, n, p, path, ParseDuration)
	case *Size:
		measured(d, n, p, path, ParseSize)
	case *Bandwidth:
		measured(d, n, p, path, ParseBandwidth)
	case *Uplink:
		measured(d, n, p, path, ParseUplink)
	}
}

// describe says in a problem what a type wants.
func describe(to any) string {
	switch to.(type) {
	case *bool:
		return "true or false"
	case *int:
		return "a number"
	case *Duration:
		return "a duration"
	case *Size:
		return "a size"
	case *Bandwidth:
		return "a bandwidth"
	case *Uplink:
		return "a bandwidth or auto"
	}
	return "text"
}

func (d *decoder) bool(n *node, to *bool, path string) {
	switch {
	case n.kind == kindBool || n.kind == kindEnv:
		if v, err := strconv.ParseBool(n.text); err == nil {
			*to = v
			return
		}
	case n.kind == kindText && (n.text == "on" || n.text == "off" || n.text == "yes" || n.text == "no"):
		*to = n.text == "on" || n.text == "yes"
		return
	}
	d.problem(n.at, fmt.Sprintf("%s must be true or false, not %s", lastKey(path), shown(n, path)), "")
}

func (d *decoder) text(n *node, to *string, path string) {
	if n.kind == kindBool {
		d.problem(n.at, fmt.Sprintf("%s must be text, not %s", lastKey(path), n.text), "put it in quotes")
		return
	}
	text, what, right := d.rule(path).text(n.text, path)
	if what != "" {
		d.problem(n.at, what, right)
		return
	}
	if text == "" {
		delete(d.present, path) // as if nothing were said
	}
	*to = text
}

// measured decodes the types that are numbers underneath and checks their range.
func measured[T ~int | ~int64](d *decoder, n *node, to *T, path string, parse func(string) (T, error)) {
	r := d.rule(path)
	v, err := parse(n.text)
	if errors.Is(err, strconv.ErrRange) && r.bounded {
		err, v = nil, T(r.max)+1
	}
	if err != nil || n.kind == kindBool {
		d.problem(n.at, fmt.Sprintf("%s must be %s, not %s", lastKey(path), describe(to), shown(n, path)), r.right())
		return
	}
	if r.bounded && (int64(v) < r.min || int64(v) > r.max) {
		d.problem(n.at, fmt.Sprintf("%s %s is out of range", lastKey(path), strings.Trim(shown(n, path), `"`)), r.right())
		return
	}
	*to = v
}

// shown is a value in a problem: quoted when text, cut when long, hidden when secret.
func shown(n *node, path string) string {
	if isSecret(path[strings.LastIndexByte(path, '.')+1:]) {
		return "***"
	}
	text := n.text
	if runes := []rune(text); len(runes) > 40 {
		text = string(runes[:40]) + "…"
	}
	if n.kind == kindText || n.kind == kindEnv {
		return strconv.Quote(text)
	}
	return text
}

// parseInt reads a whole number: decimal, or 0x, 0o and 0b. A leading zero is
// decimal, as in YAML 1.2.
func parseInt(s string) (int, error) {
	s = strings.ReplaceAll(s, "_", "")
	base := 10
	digits := strings.TrimLeft(s, "+-")
	if len(digits) > 1 && digits[0] == '0' && strings.ContainsRune("xXoObB", rune(digits[1])) {
		base = 0
	}
	v, err := strconv.ParseInt(s, base, 64)
	return int(v), err
}

// ParseDuration reads "200ms", "30s", "1m30s", or a plain number of seconds.
func ParseDuration(s string) (Duration, error) {
	if v, err := time.ParseDuration(s); err == nil {
		return Duration(v), nil
	}
	if strings.ContainsAny(s, "xXpPnN_iI") {
		return 0, fmt.Errorf("%q is no duration", s)
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || v < -1e9 || v > 1e9 {
		return 0, fmt.Errorf("%q is no duration", s)
	}
	return Duration(v * float64(time.Second)), nil
}

// String returns d as [ParseDuration] reads it: 200ms, 30s, 1m30s.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

type unit struct {
	name   string
	factor int64
}

// Units, the larger first and the longer name before its own end.
var (
	sizeUnits = []unit{
		{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
		{"Ti", 1 << 40}, {"Gi", 1 << 30}, {"Mi", 1 << 20}, {"Ki", 1 << 10},
		{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3},
		{"T", 1e12}, {"G", 1e9}, {"M", 1e6}, {"K", 1e3}, {"B", 1},
	}
	bandwidthUnits = []unit{{"T", 1e12}, {"G", 1e9}, {"M", 1e6}, {"K", 1e3}}
)

// ParseSize reads a number of bytes: "65536", "512KiB", "32 MiB", "1G".
func ParseSize(s string) (Size, error) {
	v, err := parseUnits(s, sizeUnits)
	return Size(v), err
}

// ParseBandwidth reads a number of bit/s: "300000", "300k", "1M", "1.5Gbit/s".
func ParseBandwidth(s string) (Bandwidth, error) {
	number := strings.TrimSpace(s)
	for _, suffix := range []string{"bit/s", "bps", "bit"} {
		if cut, found := strings.CutSuffix(number, suffix); found {
			number = cut
			break
		}
	}
	v, err := parseUnits(number, bandwidthUnits)
	if err != nil {
		err = fmt.Errorf("%q is no bandwidth", s)
	}
	return Bandwidth(v), err
}

// parseUnits reads a decimal number with an optional unit in any case.
func parseUnits(s string, units []unit) (int64, error) {
	number, factor := strings.TrimSpace(s), int64(1)
	for _, u := range units {
		if n := len(number) - len(u.name); n > 0 && strings.EqualFold(number[n:], u.name) {
			number, factor = strings.TrimSpace(number[:n]), u.factor
			break
		}
	}
	number = strings.ReplaceAll(number, "_", "")
	if whole, err := strconv.ParseInt(number, 10, 64); err == nil && whole <= (1<<62)/factor && whole >= -(1<<62)/factor {
		return whole * factor, nil
	}
	if strings.Trim(number, "0123456789.") != "" {
		return 0, fmt.Errorf("%q is no number with a unit", s)
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || v*float64(factor) > 1<<62 {
		return 0, fmt.Errorf("%q is no number with a unit", s)
	}
	return int64(v * float64(factor)), nil
}

// String returns s with the largest unit that divides it: 32MiB, 1000.
func (s Size) String() string {
	for _, u := range sizeUnits[:4] {
		if s != 0 && int64(s)%u.factor == 0 {
			return strconv.FormatInt(int64(s)/u.factor, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// String returns b with the largest unit that divides it: 300k, 1M, 1234.
func (b Bandwidth) String() string {
	for _, u := range bandwidthUnits {
		if b != 0 && int64(b)%u.factor == 0 {
			return strconv.FormatInt(int64(b)/u.factor, 10) + strings.Replace(u.name, "K", "k", 1)
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// listenAddress returns s as host:port; a port alone is one at every address.
func listenAddress(s string) (string, bool) {
	if s != "" && strings.Trim(s, "0123456789") == "" {
		s = ":" + s
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil || strings.ContainsAny(host, " \t/@") {
		return "", false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", false
	}
	return net.JoinHostPort(host, strconv.FormatUint(n, 10)), true
}
