//go:build linux

package main

import "testing"

// FuzzOpenings: whatever a server says, in whatever pieces, an opening neither panics
// nor keeps more than its bound, and joins or fails alike.
func FuzzOpenings(f *testing.F) {
	for i, o := range openings {
		f.Add(i, o.reply, 100)
		f.Add(i, o.reply, 1)
	}
	f.Fuzz(func(t *testing.T, which int, said []byte, piece int) {
		o := openings[uint(which)%uint(len(openings))]
		_, joined, err := o.make().hear(said)
		v := o.make()
		size := max(1, piece%5000)
		for rest := said; len(rest) > 0; {
			n := min(size, len(rest))
			_, in, fault := v.hear(rest[:n])
			if rest = rest[n:]; in || fault != nil {
				if in != joined || (fault == nil) != (err == nil) {
					t.Fatalf("whole: %v, %v; in pieces of %d: %v, %v", joined, err, size, in, fault)
				}
				return
			}
			if kept := keeps(v); kept > maxHeard+size {
				t.Fatalf("%d bytes kept", kept)
			}
		}
		if joined || err != nil && len(said) <= maxHead {
			t.Fatalf("whole: %v, %v; in pieces of %d: still waiting", joined, err, size)
		}
	})
}

func keeps(v opening) int {
	switch o := v.(type) {
	case *httpOpening:
		return len(o.heard)
	case *mmshOpening:
		return len(o.heard)
	case *rtmpOpening:
		n := len(o.heard)
		for _, m := range o.open {
			n += len(m.start)
		}
		return n
	}
	return 0
}
