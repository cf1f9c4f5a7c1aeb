package passhash

import (
	"errors"
	"testing"
)

// Whatever stands where a hash should, reading it ends with a hash within its bounds,
// or with one of two errors.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		ofBcrypt, argon("m=65536,t=2,p=1"), argon("m=4294967296,t=1,p=1"), argon("m=8,t=1,p=256"),
		"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		"$2b$31$", "$argon2id$v=19$m=,t=,p=$$", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := Parse(s)
		if err != nil {
			if !errors.Is(err, ErrForm) && !errors.Is(err, ErrCostly) {
				t.Fatal(err)
			}
			return
		}
		if h.memory > MaxMemory || h.time > MaxTime || h.threads > MaxThreads || uint64(h.memory)*uint64(h.time) > maxWork {
			t.Fatalf("beyond the bounds: %q", s)
		}
		if h.bcrypt == "" && (len(h.sum) < 16 || h.time < 1 || h.threads < 1) {
			t.Fatalf("argon2 would not take it: %q", s)
		}
	})
}
