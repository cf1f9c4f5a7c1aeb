package server

import (
	"testing"
	"time"
)

func TestALoopIsFull(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name                string
		stream, pass, pulse time.Duration
		full                bool
	}{
		{"nobody watches", 0, 0, 10 * ms, false},
		{"one stream, a short pass", 20 * ms, 20 * ms, 200 * ms, false},
		{"one stream, a long pass", 30 * ms, 30 * ms, 200 * ms, true},
		{"a hundred streams that take as long together", ms, 30 * ms, 200 * ms, false},
		{"a hundred streams that take a good part of the pulse", ms, 60 * ms, 200 * ms, true},
		{"one large stream among small ones", 30 * ms, 40 * ms, 200 * ms, true},
		{"one stream, a short pulse", 6 * ms, 6 * ms, 20 * ms, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var f fill
			for range 100 { // until the means are what is measured
				f.passed(c.stream, c.pass, c.pulse)
			}
			if got := f.full.Load(); got != c.full {
				t.Errorf("full: %v, want %v", got, c.full)
			}
		})
	}
}

func TestPickLoop(t *testing.T) {
	type state struct {
		viewers int32
		full    bool
	}
	for _, c := range []struct {
		name  string
		loops []state
		want  int
	}{
		{"the first one while nobody watches", []state{{0, false}, {0, false}}, 0},
		{"the first one as long as it is not full", []state{{4000, false}, {0, false}}, 0},
		{"the second one once the first is full", []state{{4000, true}, {0, false}}, 1},
		{"the first one again when it is no longer full", []state{{3000, false}, {2000, false}}, 0},
		{"the one with the fewest when all are full", []state{{4000, true}, {3000, true}}, 1},
		{"one with few viewers is never full", []state{{4000, true}, {packed - 1, true}, {0, false}}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &Server{}
			for _, st := range c.loops {
				l := &loop{}
				l.load.Store(st.viewers)
				l.fill.full.Store(st.full)
				s.loops = append(s.loops, l)
			}
			if got := s.pickLoop(); got != s.loops[c.want] {
				t.Errorf("another loop than number %d", c.want)
			}
		})
	}
}
