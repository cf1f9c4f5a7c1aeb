package ringbuf

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// publish puts a stamped packet into the ring, arriving at t milliseconds.
func publish(r *Ring, p *Pool, n int, t int64, m Meta) uint64 {
	s := p.Get(n)
	m.Arrived = t * int64(time.Millisecond)
	s.Meta = m
	seq := r.Tail()
	if n >= 8 {
		binary.LittleEndian.PutUint64(s.Bytes(), seq)
	}
	r.Publish(s)
	return seq
}

func TestRingJoinsAtNewestKeyFrame(t *testing.T) {
	p, r := NewPool(0), NewRing(Limits{Slots: 8})
	if _, ok := r.Key(); ok {
		t.Error("an empty ring has a key frame")
	}
	publish(r, p, 10, 0, Meta{Key: true})
	want := publish(r, p, 10, 1, Meta{Key: true})
	publish(r, p, 10, 2, Meta{})
	if got, ok := r.Key(); !ok || got != want {
		t.Errorf("Key() = %d, %v, want %d", got, ok, want)
	}
	change := publish(r, p, 10, 3, Meta{Kind: Change, Epoch: 1})
	if _, ok := r.Key(); ok {
		t.Error("the key frame of the old header outlived the change")
	}
	if r.EpochStart() != change {
		t.Errorf("EpochStart() = %d, want %d", r.EpochStart(), change)
	}
	want = publish(r, p, 10, 4, Meta{Key: true, Epoch: 1})
	for i := range int64(7) {
		publish(r, p, 10, 5+i, Meta{})
	}
	if got, ok := r.Key(); !ok || got != want {
		t.Errorf("Key() = %d, %v, want %d, the oldest packet kept", got, ok, want)
	}
	publish(r, p, 10, 20, Meta{})
	if _, ok := r.Key(); ok {
		t.Error("Key() names a packet that has left the ring")
	}
}

func TestRingEnd(t *testing.T) {
	p, r := NewPool(0), NewRing(Limits{})
	first := publish(r, p, 10, 0, Meta{Key: true})
	end := publish(r, p, 8, 1, Meta{Kind: End})
	next := publish(r, p, 10, 2, Meta{Key: true})
	for _, c := range []struct {
		from uint64
		want bool
	}{{first, true}, {end, true}, {next, false}} {
		if got := r.Ended(c.from); got != c.want {
			t.Errorf("Ended(%d) = %v, want %v", c.from, got, c.want)
		}
	}
	if r.EpochStart() != next {
		t.Errorf("EpochStart() = %d, want %d: what follows an end is a new epoch", r.EpochStart(), next)
	}
}

func TestRingBounds(t *testing.T) {
	const kept = 4
	for _, c := range []struct {
		name   string
		limits Limits
		step   int64 // ms between packets
	}{
		{"slots", Limits{Slots: kept}, 0},
		{"bytes", Limits{Bytes: kept * int64(classSize(0))}, 0},
		{"time", Limits{Duration: 30 * time.Millisecond}, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, r := NewPool(0), NewRing(c.limits)
			for i := range int64(100) {
				publish(r, p, 100, i*c.step, Meta{})
			}
			if n := r.Tail() - r.Head(); n != kept {
				t.Errorf("the ring keeps %d packets, want %d", n, kept)
			}
			if p.Live() != kept {
				t.Errorf("%d slabs are live, want %d", p.Live(), kept)
			}
			r.Clear()
			if p.Live() != 0 || r.Head() != r.Tail() {
				t.Errorf("after Clear %d slabs are live and head %d, tail %d", p.Live(), r.Head(), r.Tail())
			}
		})
	}
}

func TestRingTimeBoundSparesNewestKeyFrame(t *testing.T) {
	p, r := NewPool(0), NewRing(Limits{Duration: 10 * time.Millisecond})
	key := publish(r, p, 10, 0, Meta{Key: true})
	for i := range int64(20) {
		publish(r, p, 10, 10*i, Meta{})
	}
	if r.Head() != key {
		t.Errorf("head is %d, want the key frame at %d", r.Head(), key)
	}
	next := publish(r, p, 10, 300, Meta{Key: true})
	publish(r, p, 10, 300, Meta{})
	if r.Head() != next {
		t.Errorf("head is %d, want %d once there is a newer key frame", r.Head(), next)
	}
}

func TestRingFirstAfter(t *testing.T) {
	p, r := NewPool(0), NewRing(Limits{})
	first := publish(r, p, 10, 0, Meta{})
	for i := int64(1); i < 50; i++ {
		publish(r, p, 10, i*10, Meta{})
	}
	ms := int64(time.Millisecond)
	for _, c := range []struct {
		from uint64
		t    int64
		want uint64
	}{{0, 0, first}, {0, 101 * ms, first + 11}, {0, 110 * ms, first + 11}, {first + 30, 0, first + 30}, {0, 9999 * ms, r.Tail()}} {
		if got := r.FirstAfter(c.from, c.t); got != c.want {
			t.Errorf("FirstAfter(%d, %d) = %d, want %d", c.from, c.t, got, c.want)
		}
	}
}

// TestRingModel runs random operations against a plain slice.
func TestRingModel(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { runModel(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

type modelPacket struct {
	seq  uint64
	size int64
	at   int64 // ms
	key  bool
}

func runModel(t *testing.T, rnd *rand.Rand) {
	limits := Limits{Slots: 1 << (1 + rnd.IntN(6)), Bytes: int64(2000 + rnd.IntN(60000)), Duration: time.Duration(1+rnd.IntN(200)) * time.Millisecond}
	p, r := NewPool(0), NewRing(limits)
	var model []modelPacket
	var clock int64
	for range 3000 {
		clock += int64(rnd.IntN(5))
		if rnd.IntN(3) > 0 {
			n, key := 8+rnd.IntN(1500), rnd.IntN(10) == 0
			seq := publish(r, p, n, clock, Meta{Key: key})
			size := int64(classSize(classOf(n)))
			model = modelEvict(model, limits, size, clock)
			model = append(model, modelPacket{seq, size, clock, key})
			continue
		}
		checkModel(t, r, model, r.Tail()-uint64(rnd.IntN(limits.Slots+2)))
	}
	if p.Live() != len(model) {
		t.Errorf("%d slabs are live, the model has %d", p.Live(), len(model))
	}
}

func modelEvict(model []modelPacket, l Limits, size, now int64) []modelPacket {
	var bytes int64
	newestKey := uint64(0)
	for _, m := range model {
		bytes += m.size
		if m.key {
			newestKey = m.seq
		}
	}
	for len(model) > 0 {
		m := model[0]
		full := len(model) >= l.Slots || bytes+size > l.Bytes
		stale := now-m.at > l.Duration.Milliseconds() && (newestKey == 0 || m.seq < newestKey)
		if !full && !stale {
			break
		}
		if m.seq == newestKey {
			newestKey = 0
		}
		bytes -= m.size
		model = model[1:]
	}
	return model
}

func checkModel(t *testing.T, r *Ring, model []modelPacket, from uint64) {
	t.Helper()
	var want []uint64
	for _, m := range model {
		if m.seq >= from {
			want = append(want, m.seq)
		}
	}
	lapped := from < r.Head()
	dst := make([]*Slab, 7)
	n, gotLapped := r.Take(from, dst)
	if lapped {
		if n != 0 || !gotLapped {
			t.Fatalf("Take(%d) behind head %d gave %d packets, lapped %v", from, r.Head(), n, gotLapped)
		}
		return
	}
	if n != min(len(want), len(dst)) || gotLapped {
		t.Fatalf("Take(%d) gave %d packets, lapped %v, want %d", from, n, gotLapped, min(len(want), len(dst)))
	}
	for i, s := range dst[:n] {
		if s.Seq() != want[i] || binary.LittleEndian.Uint64(s.Bytes()) != want[i] {
			t.Fatalf("packet %d of Take(%d) is %d stamped %d, want %d", i, from, s.Seq(), binary.LittleEndian.Uint64(s.Bytes()), want[i])
		}
		s.Release()
	}
}
