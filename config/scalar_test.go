package config

import (
	"testing"
	"time"
)

func TestScalars(t *testing.T) {
	ms := int64(time.Millisecond)
	for _, c := range []struct {
		kind, text string
		want       int64 // -1: refused
		back       string
	}{
		{"duration", "200ms", 200 * ms, "200ms"},
		{"duration", "90s", 90_000 * ms, "1m30s"},
		{"duration", "60", 60_000 * ms, "1m"},
		{"duration", "0.25", 250 * ms, "250ms"},
		{"duration", "2h", 7_200_000 * ms, "2h"},
		{"duration", "0", 0, "0s"},
		{"duration", "10 s", -1, ""},
		{"duration", "1e400", -1, ""},
		{"duration", "inf", -1, ""},
		{"duration", "0x10", -1, ""},
		{"duration", "", -1, ""},
		{"size", "65536", 65536, "64KiB"},
		{"size", "512KiB", 512 << 10, "512KiB"},
		{"size", "32 MiB", 32 << 20, "32MiB"},
		{"size", "1G", 1e9, "1000000000"},
		{"size", "1.5mib", 3 << 19, "1536KiB"},
		{"size", "10B", 10, "10"},
		{"size", "MiB", -1, ""},
		{"size", "1e9", -1, ""},
		{"size", "9999999TiB", -1, ""},
		{"size", "-1.5M", -1, ""},
		{"bandwidth", "300k", 300e3, "300k"},
		{"bandwidth", "1M", 1e6, "1M"},
		{"bandwidth", "1.5Gbit/s", 15e8, "1500M"},
		{"bandwidth", "64 kbps", 64e3, "64k"},
		{"bandwidth", "1234", 1234, "1234"},
		{"bandwidth", "1MiB", -1, ""},
		{"bandwidth", "fast", -1, ""},
	} {
		var got int64
		var back string
		var err error
		switch c.kind {
		case "duration":
			var v Duration
			v, err = ParseDuration(c.text)
			got, back = int64(v), v.String()
		case "size":
			var v Size
			v, err = ParseSize(c.text)
			got, back = int64(v), v.String()
		case "bandwidth":
			var v Bandwidth
			v, err = ParseBandwidth(c.text)
			got, back = int64(v), v.String()
		}
		if c.want == -1 {
			if err == nil {
				t.Errorf("%s %q read as %d", c.kind, c.text, got)
			}
			continue
		}
		if err != nil || got != c.want || back != c.back {
			t.Errorf("%s %q: %d %q %v, want %d %q", c.kind, c.text, got, back, err, c.want, c.back)
		}
	}
}

func TestNearest(t *testing.T) {
	words := []string{"port", "pulse", "push", "pull"}
	for given, want := range map[string]string{
		"prot":       `did you mean "port"?`,
		"PORT":       `did you mean "port"?`,
		"pulses":     `did you mean "pulse"?`,
		"x":          "one of port, pulse, push, pull",
		"frobnicate": "one of port, pulse, push, pull",
	} {
		if got := nearest(given, words); got != want {
			t.Errorf("%s: %s, want %s", given, got, want)
		}
	}
}
