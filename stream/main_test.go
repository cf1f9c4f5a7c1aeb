package stream

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stream-pump/stream-pump/ringbuf"
	"github.com/stream-pump/stream-pump/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is a stream whose every slab must be back in its pool when the test is over.
type stage struct {
	*Stream
	t      *testing.T
	pool   *ringbuf.Pool
	states []string // every change, "from>to"
}

func newStage(t *testing.T, change ...func(*Options)) *stage {
	t.Helper()
	g := &stage{t: t, pool: ringbuf.NewPool(16 << 20)}
	o := Options{
		Path: "x", Name: "X", Type: "test", Pool: g.pool, EndFrame: []byte("END"), Hold: time.Minute,
		Ring:    ringbuf.Limits{Duration: time.Hour},
		Metrics: telemetry.NewMetrics().Stream("x"),
		OnState: func(from, to State) { g.states = append(g.states, from.String()+">"+to.String()) },
	}
	for _, c := range change {
		c(&o)
	}
	g.Stream = New(o)
	t.Cleanup(func() {
		g.Close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := g.Discard(ctx); err != nil {
			t.Errorf("discarding: %v", err)
		}
		if n := g.pool.Live(); n != 0 {
			t.Errorf("%d slabs are still referenced", n)
		}
	})
	return g
}

func (g *stage) open(c Claim) *Publisher {
	g.t.Helper()
	p, err := g.Open(g.t.Context(), c)
	if err != nil {
		g.t.Fatalf("open as %s: %v", c.Name, err)
	}
	return p
}

func (g *stage) header(p *Publisher, name string) {
	g.t.Helper()
	if err := p.SetHeader(Header{Raw: []byte(name), Frame: []byte(name), Change: []byte("->" + name), AltStart: 1}); err != nil {
		g.t.Fatalf("header %s: %v", name, err)
	}
}

func (g *stage) publish(p *Publisher, text string) error {
	slab := g.pool.Get(len(text))
	copy(slab.Bytes(), text)
	return p.Publish(slab)
}

func (g *stage) mustPublish(p *Publisher, text string) {
	g.t.Helper()
	if err := g.publish(p, text); err != nil {
		g.t.Fatalf("publishing %s: %v", text, err)
	}
}

// told is everything in the ring as text: kind, epoch, bytes.
func (g *stage) told() string {
	var all []string
	var one [1]*ringbuf.Slab
	for seq := g.Ring().Head(); seq < g.Ring().Tail(); seq++ {
		if n, _ := g.Ring().Take(seq, one[:]); n == 1 {
			all = append(all, fmt.Sprintf("%d/%d %s", one[0].Kind, one[0].Epoch, one[0].Bytes()))
			one[0].Release()
		}
	}
	return strings.Join(all, ", ")
}

func (g *stage) want(state State, told string) {
	g.t.Helper()
	if g.State() != state {
		g.t.Errorf("state %v, want %v", g.State(), state)
	}
	if got := g.told(); got != told {
		g.t.Errorf("ring: %s\nwant: %s", got, told)
	}
}

// bell counts its wakes.
type bell struct {
	rung int
	at   int64
}

func (b *bell) Wake()      { b.rung++ }
func (b *bell) Due() int64 { return b.at }
