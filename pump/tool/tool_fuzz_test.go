package tool

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// No file makes the reader panic, loop or read outside of it.
func FuzzFilm(f *testing.F) {
	raw, err := os.ReadFile(writeFilm(f, 4))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add(raw[:len(raw)-900])
	f.Add(testHeader(1))
	f.Add([]byte{})
	file := filepath.Join(f.TempDir(), "fuzz.asf")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(file, b, 0o644); err != nil {
			t.Fatal(err)
		}
		film, err := openFilm(file)
		if err != nil {
			if !errors.Is(err, ErrNotPlayable) {
				t.Fatal(err)
			}
			return
		}
		defer film.close()
		if end := film.data + film.packets*int64(film.size); end > int64(len(b)) {
			t.Fatalf("packets reach to %d of %d bytes", end, len(b))
		}
		p := &pusher{film: film}
		for p.next = range min(film.packets, 100) {
			_, _, _ = p.prepare(make([]byte, film.size))
		}
	})
}

// No address makes the parser panic, and none that it takes is without a place to dial.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"mmsh://host:8086/streams/x", "http://u:p@[::1]/x?y", "https://h", "mms:/x", "://", "mmsh://h:99999/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parseAddress(s)
		if err == nil && (a.dial == "" || a.target == "") {
			t.Errorf("%q: %+v", s, a)
		}
	})
}
