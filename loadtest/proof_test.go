package loadtest

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/mmsh"
)

// findings are all that a reader says about a body.
func findings(r *reader) string {
	counted := r.t.ages().TotalCount()
	r.settle(0)
	return fmt.Sprintf("got %d of %d, %d missing, %d bytes to %d, torn %v, %d ages, edge %+v, faults %v", r.got, r.of, r.missing,
		r.bytes, r.place, r.torn(), counted, r.t.newest[0], r.t.faults)
}

// afresh is again, and nothing that was found before counts.
func (r *reader) afresh(kind bodyKind) *reader {
	n := r.again(kind)
	t := n.t
	t.proofs, t.newest[0] = newProofs(1), edge{}
	t.protocol.Store(0)
	t.beginWindow(0)
	return n
}

// A viewer who gets what another one has proven is told the same about it as one who comes alone: however it is cut,
// and whatever is wrong with it.
func TestAProofChangesNoFinding(t *testing.T) {
	s := newSample(t, 14)
	flip := func(b []byte, at int) []byte { b = bytes.Clone(b); b[at] ^= 0x40; return b }
	good := s.body(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
	frame := len(s.frame(0))
	sixth := len(good) - 6*frame // where packet 6 begins
	plain := slices.Concat(slices.Clone(s.header), slices.Concat(s.packets[:12]...))
	for _, tc := range []struct {
		name         string
		kind         bodyKind
		proven, body []byte
	}{
		{"the same", framedBody, good, good},
		{"plain ASF", plainBody, plain, plain},
		{"less of it", framedBody, good, good[:len(good)-100]},
		{"more than is proven", framedBody, good[:sixth+10], good},
		{"a changed byte", framedBody, good, flip(good, sixth+frame-1)},
		{"a changed LocationId", framedBody, good, flip(good, sixth+4)},
		{"a changed length", framedBody, good, flip(good, sixth+2)},
		{"a changed number", framedBody, good, flip(good, sixth+mmsh.DataHeadSize+stampAt+16)},
		{"a lost packet", framedBody, good, s.body(0, 1, 2, 3, 5, 6, 7)},
		{"a repeated packet", framedBody, good, s.body(0, 1, 2, 3, 3, 4, 5)},
		{"packets in the wrong order", framedBody, good, s.body(0, 1, 3, 2, 4, 5)},
		{"a lost packet that was proven by one who lost it too", framedBody, s.body(0, 1, 2, 4, 5, 6), s.body(0, 1, 2, 4, 5, 6)},
		{"packets numbered by another server", framedBody, good, slices.Concat(mmsh.AppendHeader(nil, s.header),
			frameOf(900, s.packets[0]), frameOf(901, s.packets[1]), frameOf(902, s.packets[2]), frameOf(904, s.packets[3]))},
		{"a change of header on the way", framedBody, good, slices.Concat(s.body(0, 1, 2), mmsh.AppendChange(nil, 0), s.body(3, 4, 5))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			one, other := newTestReader(tc.kind), newTestReader(tc.kind)
			for cut := 0; cut < len(tc.body); cut += 3 {
				feed := func(r *reader) string {
					for _, part := range [][]byte{tc.body[:cut], tc.body[cut:]} {
						if err := r.feed(part, now()); err != nil {
							return err.Error()
						}
					}
					return "no error"
				}
				alone := one.afresh(tc.kind)
				leader := other.afresh(tc.kind)
				mustFeed(t, leader, tc.proven)
				proven := leader.t.proofs
				second := leader.afresh(tc.kind)
				second.t.proofs = proven
				want, got := feed(alone)+" "+findings(alone), feed(second)+" "+findings(second)
				if want != got || alone.t.protocol.Load() != second.t.protocol.Load() {
					t.Fatalf("cut at %d\n       alone: %s\nwith a proof: %s", cut, want, got)
				}
			}
		})
	}
}

// What many viewers get at the same time is compared and counted in one go.
func TestViewersOfOnePulseShareAProof(t *testing.T) {
	s := newSample(t, 20)
	leader := newTestReader(framedBody)
	at := now()
	feedAt := func(r *reader, b []byte) {
		t.Helper()
		if err := r.feed(b, at); err != nil {
			t.Fatal(err)
		}
	}
	start, pulse := s.body(0, 1), s.body(2, 3, 4, 5, 6)[len(mmsh.AppendHeader(nil, s.header)):]
	others := []*reader{leader.again(framedBody), leader.again(framedBody), leader.again(framedBody)}
	for _, r := range append(others, leader) {
		feedAt(r, start)
	}
	feedAt(leader, pulse)
	packets, ages := leader.t.packets.Load(), leader.t.ages().TotalCount()
	for _, r := range others {
		feedAt(r, pulse)
	}
	if g := leader.t.run; g.viewers != 3 || g.to-g.from != 5 {
		t.Errorf("%d viewers and %d packets were counted together, want 3 and 5", g.viewers, g.to-g.from)
	}
	if n := leader.t.packets.Load() - packets; n != 15 {
		t.Errorf("%d packets counted, want 15", n)
	}
	if n := leader.t.ages().TotalCount() - ages; n != 15 {
		t.Errorf("%d ages counted, want 15", n)
	}
	leader.t.endWindow(at)
	for _, r := range others {
		if r.seg.last != 6 || r.seg.received != 7 || r.location != 106 || r.place != leader.place {
			t.Errorf("a viewer stands at %+v, LocationId %d, byte %d", r.seg, r.location, r.place)
		}
	}
}

// An age in a proof is never less than the true one, and hardly more.
func TestAgesCountedTogetherAreRoundedUp(t *testing.T) {
	s := newSample(t, 3)
	leader := newTestReader(framedBody)
	mustFeed(t, leader, s.body(0, 1, 2))
	leader.t.beginWindow(0)
	st, _ := readStamp(s.packets[2][stampAt:])
	r := leader.again(framedBody)
	mustFeed(t, r, s.body(0, 1))
	leader.t.beginWindow(0)
	age := 30 * time.Millisecond
	if err := r.feed(s.frame(2), st.published+int64(age)); err != nil {
		t.Fatal(err)
	}
	if us := time.Duration(leader.t.ages().Max()) * time.Microsecond; us < age || us > age+2*time.Duration(sameTime) {
		t.Errorf("an age of %v counts as %v", age, us)
	}
}

// A proof has a bound; who is behind what it has forgotten is looked at packet by packet.
func TestAProofForgetsItsOldestPackets(t *testing.T) {
	s := newSample(t, 60)
	frame := len(s.frame(0))
	leader := newTestReader(framedBody)
	p := &leader.t.proofs[0]
	p.most = 10*frame + 3
	late := leader.again(framedBody)
	mustFeed(t, leader, s.body(0))
	mustFeed(t, late, s.body(0))
	for i := 1; i < 60; i++ {
		mustFeed(t, leader, s.frame(i))
		if len(p.bytes) > p.most || len(p.bytes) != len(p.ends)*frame || p.next() != uint64(i+1) ||
			p.location+uint32(len(p.ends)) != uint32(101+i) {
			t.Fatalf("after packet %d: %d bytes in %d packets, the next is %d", i, len(p.bytes), len(p.ends), p.next())
		}
		if first := s.frame(int(p.first)); !bytes.Equal(p.bytes[:frame], first) {
			t.Fatalf("after packet %d it does not begin with its first packet, %d", i, p.first)
		}
	}
	for i := 1; i < 60; i++ {
		mustFeed(t, late, s.frame(i))
	}
	late.settle(0)
	if late.got != 60 || late.missing != 0 || late.t.protocol.Load() != 0 {
		t.Errorf("the late one got %d, %d missing, %d faults", late.got, late.missing, late.t.protocol.Load())
	}
}

// Whoever is behind, or elsewhere, does not take the proof away from those it serves, until they are gone.
func TestWhoMayBeginAProofAnew(t *testing.T) {
	s, other := newSample(t, 10), newSample(t, 10)
	otherBody := func(n int) []byte { // the same packets by another server
		b := mmsh.AppendHeader(nil, other.header)
		for i := range n {
			b = append(b, frameOf(uint32(700+i), other.packets[i])...)
		}
		return b
	}
	leader := newTestReader(framedBody)
	at := now()
	feed := func(r *reader, b []byte, at int64) {
		t.Helper()
		if err := r.feed(b, at); err != nil {
			t.Fatal(err)
		}
	}
	p := &leader.t.proofs[0]
	feed(leader, s.body(0, 1, 2, 3), at)
	feed(leader.again(framedBody), s.body(0, 1), at)
	feed(leader.again(framedBody), otherBody(3), at)
	if p.first != 0 || p.location != 100 || len(p.ends) != 4 {
		t.Errorf("one behind, or elsewhere, changed it: packets %d to %d, LocationId %d", p.first, p.next(), p.location)
	}
	feed(leader.again(framedBody), s.body(0, 1, 6, 7), at)
	if p.first != 6 || p.next() != 8 {
		t.Errorf("one ahead did not begin it anew: packets %d to %d", p.first, p.next())
	}
	feed(leader.again(framedBody), otherBody(3), at+proofStale)
	if p.location != 700 || len(p.ends) != 3 {
		t.Errorf("one elsewhere did not begin it anew when it was stale: LocationId %d, %d packets", p.location, len(p.ends))
	}
}
