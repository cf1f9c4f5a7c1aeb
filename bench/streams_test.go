package bench

import (
	"context"
	"fmt"
	"testing"

	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/ringbuf"
	"github.com/stream-pump/stream-pump/stream"
)

// quiet is somebody who watches, and for whom a pass is due already.
type quiet struct{ woken int }

func (q *quiet) Wake()      { q.woken++ }
func (q *quiet) Due() int64 { return 0 }

// many are streams, each with a source, a viewer and a full ring, that share a pool as those of a pump do.
type many struct {
	pool       *ringbuf.Pool
	publishers []*stream.Publisher
}

func newMany(tb testing.TB, n int) *many {
	tb.Helper()
	m := &many{pool: ringbuf.NewPool(0)}
	for i := range n {
		s := stream.New(stream.Options{Path: fmt.Sprint(i), Pool: m.pool, Ring: ringbuf.Limits{Slots: 16}, EndFrame: mmsh.AppendEnd(nil, mmsh.ReasonEnd)})
		p, err := s.Open(context.Background(), stream.Claim{Name: "bench"})
		if err != nil {
			tb.Fatal(err)
		}
		if err := p.SetHeader(stream.Header{PacketSize: packetSize, Bitrate: 300_000}); err != nil {
			tb.Fatal(err)
		}
		s.Subscribe(&quiet{})
		m.publishers = append(m.publishers, p)
		for range 20 {
			m.publish(i)
		}
	}
	return m
}

// publish gives stream i a packet.
func (m *many) publish(i int) {
	_ = m.publishers[i].Publish(m.pool.Get(mmsh.DataHeadSize + packetSize))
}

// BenchmarkStreams is one packet published while there are so many streams: to one and the same of them, which says
// what the others cost it, and to each in turn, which says what the processor's cache costs.
func BenchmarkStreams(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		m := newMany(b, n)
		b.Run(fmt.Sprintf("one of %d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m.publish(n / 2)
			}
		})
		b.Run(fmt.Sprintf("each of %d in turn", n), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				m.publish(i)
				if i++; i == n {
					i = 0
				}
			}
		})
	}
}

// TestAPacketAmongManyStreams holds what is exact: it wakes who watches its own stream, nobody else, and allocates
// nothing.
func TestAPacketAmongManyStreams(t *testing.T) {
	m := newMany(t, 100)
	woken := &quiet{}
	defer m.publishers[7].Stream().Subscribe(woken)()
	if n := testing.AllocsPerRun(1000, func() { m.publish(8) }); n != 0 {
		t.Errorf("publishing allocates %v times, want 0", n)
	}
	if woken.woken != 0 {
		t.Errorf("a viewer of another stream was woken %d times", woken.woken)
	}
	m.publish(7)
	if woken.woken != 1 {
		t.Errorf("the viewer was woken %d times, want 1", woken.woken)
	}
}
