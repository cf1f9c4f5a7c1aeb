package soak

import (
	"flag"
	"fmt"
	"testing"
	"time"
)

var length = flag.Duration("soak", 0, "how long TestSoak lets the churn go on; 0: the short form")

// size is how much churn a round is.
type size struct {
	round   time.Duration
	viewers int // of the largest crowd
	vandals int
}

var (
	short = size{round: 6 * time.Second, viewers: 40, vandals: 4}
	long  = size{round: 25 * time.Second, viewers: 200, vandals: 8}
)

// terms are short, so that the pump forgets soon what it need not know any more.
const terms = `
stall: {timeout: 3s}
hold: 5s
request: {head_timeout: 2s, idle_timeout: 2s}
push: {idle_timeout: 3s, session_timeout: 3s}
ring: {duration: 5s}
lag: {max: 2s}
pull: {timeout: 3s, backoff: {min: 500ms, max: 1s}}
`

func (p *pump) streams(more bool) string {
	text := terms + fmt.Sprintf(`
streams:
  - {path: steady, type: test_card}
  - {path: live, type: mmsh_push}
  - {path: vandal, type: mmsh_push}
  - {path: pulled, type: mmsh_pull, source_options: {url: 'mmsh://127.0.0.1:%d/streams/steady'}}
`, p.port)
	if more {
		text += "  - {path: passing, type: test_card}\n"
	}
	return text
}

// quiet waits until everybody is forgotten, and reads the figures.
func (p *pump) quiet(t *testing.T) (s standing) {
	t.Helper()
	eventually(t, time.Minute, "everybody is forgotten", func() bool {
		s = p.look(t)
		return s.viewers == 1 && s.connections == 1 && s.sessions == 0 // the pump itself pulls one stream
	})
	// Packets are forgotten when the ring has turned, and memory is read when garbage has been collected.
	least, end := s, time.Now().Add(6*time.Second)
	for time.Now().Before(end) {
		time.Sleep(500 * time.Millisecond)
		now := p.look(t)
		least.memory, least.heap = min(least.memory, now.memory), min(least.heap, now.heap)
		least.goroutines, least.files, least.slabs = now.goroutines, now.files, now.slabs
	}
	least.served = s.served
	return least
}

// How much more than after the first round is no leak: a goroutine of a request, a descriptor of one, a ring that is a
// few packets fuller, memory that the collector has not given back.
const (
	spareGoroutines = 4
	spareFiles      = 4
	spareSlabs      = 60
	spareMemory     = 12 << 20
	spareHeap       = 4 << 20
)

// A day of churn in minutes, and the pump is what it was.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("takes its time; left out with -short")
	}
	s, rounds := short, 1
	if *length > 0 {
		s = long
		rounds = max(1, int(*length/s.round))
	}
	p := startPump(t)
	v := &vandals{port: p.port, tls: p.tls}
	joins := round(t, p, s, v) // fills pools, and whatever else is kept on purpose
	first := p.quiet(t)
	t.Logf("%-8s %9s %9s %10s %6s %6s %9s %9s", "round", "joins", "vandals", "goroutines", "files", "slabs", "RSS KiB", "heap KiB")
	tell := func(n int, at standing) {
		t.Logf("%-8d %9d %9d %10d %6d %6d %9d %9d", n, joins, v.done.Load(), at.goroutines, at.files, at.slabs, at.memory>>10, at.heap>>10)
	}
	tell(0, first)
	var last standing
	for n := range rounds {
		joins += round(t, p, s, v)
		last = p.quiet(t)
		tell(n+1, last)
	}
	for _, c := range []struct {
		what               string
		first, last, spare int
	}{
		{"goroutines", first.goroutines, last.goroutines, spareGoroutines},
		{"descriptors", first.files, last.files, spareFiles},
		{"packets held", first.slabs, last.slabs, spareSlabs},
		{"bytes of memory", first.memory, last.memory, spareMemory},
		{"bytes of heap", first.heap, last.heap, spareHeap},
	} {
		if c.last > c.first+c.spare {
			t.Errorf("%s: %d after the first round, %d at the end", c.what, c.first, c.last)
		}
	}
}
