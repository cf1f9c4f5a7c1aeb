package config

import (
	"strings"
	"testing"
	"time"
)

// FuzzScalars: a duration, size or bandwidth that is read is written as something that reads the same.
func FuzzScalars(f *testing.F) {
	for _, s := range []string{"200ms", "1m30s", "30", "-1s", "1e3", "0x10", "64MiB", "1.5G", "512 KiB", "1.5Gbit/s", "300k", "9223372036854775807", "1e400", "NaN", "", "1h0m0.000000001s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := ParseDuration(s); err == nil {
			if again, err := ParseDuration(d.String()); err != nil || again != d {
				t.Fatalf("%q is %v, which is read as %v: %v", s, time.Duration(d), time.Duration(again), err)
			}
		}
		for _, parse := range []func(string) (int64, error){
			func(s string) (int64, error) { v, err := ParseSize(s); return int64(v), err },
			func(s string) (int64, error) { v, err := ParseBandwidth(s); return int64(v), err },
		} {
			v, err := parse(s)
			if err != nil {
				continue
			}
			if again, err := parse(" " + strings.ToLower(s) + " "); err != nil || again != v {
				t.Fatalf("%q is %d, in small letters and with blanks %d: %v", s, v, again, err)
			}
		}
	})
}
