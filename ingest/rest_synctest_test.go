package ingest

import (
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/ringbuf"
	"github.com/stream-pump/stream-pump/stream"
)

// socket is a connection on which a packet arrives every 10 ms. Reads give what has come
// and wait when nothing has.
type socket struct {
	packets [][]byte // framed
	begun   time.Time
	arrived int // packets
	buf     []byte
	reads   int
}

const arrival = 10 * time.Millisecond

func (s *socket) Read(b []byte) (int, error) {
	s.reads++
	for {
		for ; s.arrived < len(s.packets) && time.Since(s.begun) >= time.Duration(s.arrived)*arrival; s.arrived++ {
			s.buf = append(s.buf, s.packets[s.arrived]...)
		}
		switch {
		case len(s.buf) > 0:
			n := copy(b, s.buf)
			s.buf = s.buf[n:]
			return n, nil
		case s.arrived == len(s.packets):
			return 0, io.EOF
		}
		time.Sleep(time.Until(s.begun.Add(time.Duration(s.arrived) * arrival)))
	}
}

// pacer looks at the ring every so often, and never before.
type pacer struct {
	every time.Duration
	next  atomic.Int64
}

func (p *pacer) Wake()      {}
func (p *pacer) Due() int64 { return p.next.Load() }

// Packets that nobody would look at are left in the socket, and none of them is late for
// the pass it would have gone with.
func TestFeedRests(t *testing.T) {
	for _, tc := range []struct {
		name     string
		every    time.Duration // between passes; 0: nobody watches
		fewReads bool
	}{
		{"until shortly before the next pass", 200 * time.Millisecond, true},
		{"not where passes are about as frequent as packets", arrival, false},
		{"not where nobody watches", 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 400
				r := newRig(t)
				s := &socket{begun: time.Now()}
				s.packets = append(s.packets, pushBody(testHeader(320)))
				for _, p := range packets(0, n) {
					s.packets = append(s.packets, pushData(p))
				}
				p := &pacer{every: tc.every}
				p.next.Store(stream.Monotonic())
				if tc.every > 0 {
					defer r.s.Subscribe(p)()
				}
				done := make(chan error, 1)
				go func() {
					f := r.feed()
					_, err := ReadBody(s, f, BodyOptions{Role: mmsh.Push})
					f.Lost()
					done <- err
				}()
				if tc.every > 0 {
					p.pass(t, r.s.Ring(), s, n)
				}
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				if got := len(r.take()); got != n {
					t.Errorf("%d packets published, want %d", got, n)
				}
				if few := s.reads < n/3; few != tc.fewReads {
					t.Errorf("%d reads for %d packets, few: %v, want %v", s.reads, n, few, tc.fewReads)
				}
			})
		})
	}
}

// pass looks at the ring until all packets are there, and finds everything in it each
// time that came a little before.
func (p *pacer) pass(t *testing.T, ring *ringbuf.Ring, s *socket, n int) {
	for p.next.Add(int64(time.Second)); ring.Tail() <= uint64(n); p.next.Add(int64(p.every)) {
		time.Sleep(time.Duration(p.next.Load() - stream.Monotonic()))
		came := min(int((time.Since(s.begun)-2*time.Millisecond)/arrival), n)
		if there := int(ring.Tail()) - 1; there < came {
			t.Fatalf("%d packets in the ring after %v, %d had come", there, time.Since(s.begun), came)
		}
	}
}
