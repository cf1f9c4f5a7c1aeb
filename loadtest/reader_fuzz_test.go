package loadtest

import (
	"math"
	"testing"

	"github.com/stream-pump/stream-pump/mmsh"
)

// Whatever comes, and however it is cut, the reader neither panics nor runs off, and says the same.
func FuzzReader(f *testing.F) {
	s := newSample(f, 8)
	f.Add(s.body(0, 1, 2), 5, false)
	f.Add(append(s.body(0), mmsh.AppendEnd(nil, 0)...), 17, false)
	f.Add(append(append(s.body(0, 3), mmsh.AppendChange(nil, 0)...), s.body(4)...), 78, false)
	f.Add(append(append([]byte{}, s.header...), s.packets[0]...), 30, true)
	f.Add([]byte{0x24, 'D', 4, 0, 0, 0, 0, 0}, 1, false)
	first, second, third := newTestReader(framedBody), newTestReader(framedBody), newTestReader(framedBody)
	if err := second.feed(s.body(0, 1, 2, 3, 4, 5, 6, 7), 1); err != nil { // a proof to begin with
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, cut int, plain bool) {
		kind := framedBody
		if plain {
			kind = plainBody
		}
		whole, parts, bare := first.again(kind), second.again(kind), third.again(kind)
		bare.t.proofs = newProofs(1)
		bare.t.protocol.Store(0)
		whole.t.protocol.Store(0)
		parts.t.protocol.Store(0)
		errWhole := whole.feed(body, 1)
		cutAt := min(max(cut, 0), len(body))
		errParts := parts.feed(body[:cutAt], 1)
		if errParts == nil {
			errParts = parts.feed(body[cutAt:], 1)
		}
		if (errWhole == nil) != (errParts == nil) {
			t.Fatalf("in one piece: %v; in two: %v", errWhole, errParts)
		}
		whole.settle(0)
		parts.settle(0)
		if whole.got != parts.got || whole.of != parts.of || whole.missing != parts.missing ||
			whole.t.protocol.Load() != parts.t.protocol.Load() {
			t.Fatalf("in one piece: %d of %d, %d missing, %d errors; in two: %d of %d, %d missing, %d errors",
				whole.got, whole.of, whole.missing, whole.t.protocol.Load(), parts.got, parts.of, parts.missing, parts.t.protocol.Load())
		}
		errBare := bare.feed(body, 1)
		bare.settle(0)
		if (errBare == nil) != (errWhole == nil) || bare.got != whole.got || bare.of != whole.of || bare.missing != whole.missing ||
			bare.t.protocol.Load() != whole.t.protocol.Load() {
			t.Fatalf("with what was proven before: %v, %d of %d, %d missing, %d errors; without: %v, %d of %d, %d missing, %d errors",
				errWhole, whole.got, whole.of, whole.missing, whole.t.protocol.Load(),
				errBare, bare.got, bare.of, bare.missing, bare.t.protocol.Load())
		}
		if whole.left < 0 || whole.of > math.MaxUint64/2 || len(whole.gather) > mmsh.MaxHeaderBytes {
			t.Fatalf("left %d, of %d, gathered %d", whole.left, whole.of, len(whole.gather))
		}
	})
}
