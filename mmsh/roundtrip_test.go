package mmsh

import (
	"math/rand/v2"
	"testing"
)

// Property: any stream that the encoders can write decodes to the same headers, packets, reasons and places, and
// encodes to the same bytes again; no packet has the B bit and none is a $M (MUST-D4).
func TestWhatIsEncodedComesBack(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 7))
		framing := PushFraming + Framing(seed%2)
		frames := randomStream(r, framing)
		wire := encode(t, frames, framing)
		got, err := decodeAll(wire, framing, Push)
		if err != nil {
			t.Fatalf("seed %d, %v: %v", seed, framing, err)
		}
		if kinds(got) != kinds(frames) {
			t.Fatalf("seed %d: got %q, want %q", seed, kinds(got), kinds(frames))
		}
		for i, f := range got {
			same(t, f, frames[i])
		}
		wantBytes(t, encode(t, got, framing), wire)
	}
}

func same(t *testing.T, got, want Frame) {
	t.Helper()
	wantBytes(t, got.Header, want.Header)
	wantBytes(t, got.Payload, want.Payload)
	if got.Reason != want.Reason || got.LocationID != want.LocationID || got.B || got.Type == TypeMetadata {
		t.Fatalf("got %+v, want %+v", got.Event, want.Event)
	}
}

// randomStream is a header, packets with a change among them, and an end.
func randomStream(r *rand.Rand, framing Framing) []Frame {
	largest := MaxPushChange
	if framing == PullFraming {
		largest = 3 * MaxPayload
	}
	newHeader := func() []byte { return asfHeader(100 + r.IntN(largest-99)) }
	location := r.Uint32()
	packet := func() Frame {
		f := Frame{Event: Event{Kind: Packet}, Payload: asfPacket(3+r.IntN(MaxPayload-2), byte(r.Uint32()))}
		if framing == PullFraming {
			location += uint32(r.IntN(3))
			f.LocationID, f.AFFlags = location, uint8(r.Uint32())
		}
		return f
	}
	frames := []Frame{{Event: Event{Kind: Header, Header: newHeader()}}, packet()}
	if r.IntN(2) == 0 {
		frames = append(frames, Frame{Event: Event{Kind: End, Reason: ReasonEntryEnd}})
	}
	if framing == PushFraming {
		frames = append(frames, Frame{Event: Event{Kind: Change, Header: newHeader()}})
	} else {
		frames = append(frames, Frame{Event: Event{Kind: Change}}, Frame{Event: Event{Kind: Header, Header: newHeader()}})
	}
	return append(frames, packet(), packet(), Frame{Event: Event{Kind: End, Reason: 2 + r.Uint32N(1000)}})
}
