package server

import (
	"testing"

	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/ringbuf"
	"github.com/stream-pump/stream-pump/stream"
)

// located fills a ring with packets of ascending LocationIds, some of them missing.
func located(t *testing.T, ids ...uint32) *ringbuf.Ring {
	t.Helper()
	pool, ring := ringbuf.NewPool(0), ringbuf.NewRing(ringbuf.Limits{Slots: 64})
	t.Cleanup(func() {
		ring.Clear()
		if n := pool.Live(); n != 0 {
			t.Errorf("%d slabs are still referenced", n)
		}
	})
	for _, id := range ids {
		s := pool.Get(mmsh.DataHeadSize + 10)
		mmsh.PutDataHead(s.Bytes(), id, 0, 10)
		ring.Publish(s)
	}
	return ring
}

func TestLocate(t *testing.T) {
	for _, c := range []struct {
		name string
		ids  []uint32
		want uint32
		at   uint64 // sequence, from 1
		ok   bool
	}{
		{"a packet that is there", []uint32{10, 11, 12, 13}, 12, 3, true},
		{"the next to come", []uint32{10, 11, 12, 13}, 14, 5, true},
		{"one that is further ahead", []uint32{10, 11, 12, 13}, 15, 5, false},
		{"one that has left the ring", []uint32{10, 11, 12, 13}, 3, 1, true},
		{"one in a gap", []uint32{10, 11, 20, 21}, 15, 3, true},
		{"across the turn of the count", []uint32{0xFFFFFFFE, 0xFFFFFFFF, 0, 1}, 0, 3, true},
		{"an empty ring", nil, 0, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			at, ok := locate(located(t, c.ids...), c.want)
			if at != c.at || ok != c.ok {
				t.Errorf("locate(%d) = %d, %v, want %d, %v", c.want, at, ok, c.at, c.ok)
			}
		})
	}
}

func TestLocateWithinTheEpoch(t *testing.T) {
	pool, ring := ringbuf.NewPool(0), located(t, 10, 11)
	change := pool.Get(16)
	change.Kind, change.Epoch = ringbuf.Change, 1
	ring.Publish(change)
	for id := uint32(12); id < 15; id++ {
		s := pool.Get(mmsh.DataHeadSize + 10)
		mmsh.PutDataHead(s.Bytes(), id, 0, 10)
		ring.Publish(s)
	}
	if at, ok := locate(ring, 10); at != 4 || !ok {
		t.Errorf("locate found %d, %v, want the first packet behind the change, 4", at, ok)
	}
}

// A pump that lost its connection goes on behind the last packet it had; a player begins
// at the newest key frame whatever it asks for.
func TestRelayGoesOnWhereItStopped(t *testing.T) {
	relay := pragma(mmsh.TokenRelay + "=1")
	for _, c := range []struct {
		name  string
		lines []string
		first uint32 // number of the first packet
	}{
		{"a relay that names a packet", []string{relay, pragma("packet-num=7")}, 7},
		{"a relay that names none", []string{relay}, 40},
		{"a relay that names any", []string{relay, pragma("packet-num=4294967295")}, 40},
		{"a relay that names one to come later", []string{relay, pragma("packet-num=1000")}, 40},
		{"a player", []string{pragma("packet-num=7")}, 40},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, plan{ring: roomy})
			e := w.onAir()
			for range 45 {
				e.packet(e.next%20 == 0)
			}
			v := w.watch(e, play(newAgent, c.lines...))
			for n := c.first; n < e.next; n++ {
				if f, s := v.data(); s.number != n || f.location != n {
					t.Fatalf("packet %d with LocationId %d, want %d", s.number, f.location, n)
				}
			}
		})
	}
}

func TestRelayMayBeBehind(t *testing.T) {
	w := newWorld(t, plan{ring: roomy})
	e := w.onAir()
	e.send(2)
	behind := e.stream.Ring().Head()
	worldtest.Eventually(t, "some time between two packets", func() bool { return stream.Monotonic()-e.stream.Ring().Newest() > 1000 })
	e.send(1)
	for _, relay := range []bool{false, true} {
		c := cursor{relay: relay, seq: behind}
		if late := c.late(e.stream, &Settings{LagMax: 1}); late == relay {
			t.Errorf("relay %v: late %v", relay, late)
		}
	}
}
