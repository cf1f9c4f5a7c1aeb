package stream

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stream-pump/stream-pump/ringbuf"
)

func TestStreamLife(t *testing.T) { // MUST-E1, MUST-E3, MUST-S7, MUST-X1
	for _, c := range []struct {
		name   string
		play   func(g *stage)
		state  State
		told   string
		states string
	}{
		{"a source comes and plays", func(g *stage) {
			p := g.open(Claim{Name: "a"})
			g.header(p, "A")
			g.mustPublish(p, "1")
		}, Live, "0/1 1", "offline>connecting connecting>live"},
		{"a backup is told apart", func(g *stage) {
			g.header(g.open(Claim{Name: "b", Fallback: true}), "A")
		}, Fallback, "", "offline>connecting connecting>fallback"},
		{"it ends", func(g *stage) {
			p := g.open(Claim{})
			g.header(p, "A")
			g.mustPublish(p, "1")
			p.End()
			p.End()
			p.Lost()
		}, Offline, "0/1 1, 2/0 END", "offline>connecting connecting>live live>offline"},
		{"it is lost: viewers are held", func(g *stage) {
			p := g.open(Claim{})
			g.header(p, "A")
			p.Lost()
			p.End() // too late
			time.Sleep(59 * time.Second)
		}, Connecting, "", "offline>connecting connecting>live live>connecting"},
		{"nobody comes back", func(g *stage) {
			p := g.open(Claim{})
			g.header(p, "A")
			p.Lost()
			time.Sleep(61 * time.Second)
		}, Offline, "2/0 END", "offline>connecting connecting>live live>connecting connecting>offline"},
		{"it comes back with an equal header", func(g *stage) {
			p := g.open(Claim{})
			g.header(p, "A")
			g.mustPublish(p, "1")
			p.Lost()
			time.Sleep(30 * time.Second)
			p = g.open(Claim{})
			p.Resume()
			g.mustPublish(p, "2")
			time.Sleep(time.Hour)
		}, Live, "0/1 1, 0/1 2", "offline>connecting connecting>live live>connecting connecting>live"},
		{"another header is a change of epoch", func(g *stage) {
			p := g.open(Claim{})
			g.header(p, "A")
			g.mustPublish(p, "1")
			g.header(p, "B")
			g.mustPublish(p, "2")
		}, Live, "0/1 1, 1/2 ->B, 0/2 2", "offline>connecting connecting>live"},
		{"after an end a header is no change", func(g *stage) {
			p := g.open(Claim{})
			g.header(p, "A")
			p.End()
			p = g.open(Claim{})
			g.header(p, "B")
			g.mustPublish(p, "1")
		}, Live, "2/0 END, 0/2 1", "offline>connecting connecting>live live>offline offline>connecting connecting>live"},
		{"a source that connects when the hold runs out gets another turn", func(g *stage) {
			p := g.open(Claim{})
			g.header(p, "A")
			p.Lost()
			time.Sleep(59 * time.Second)
			p = g.open(Claim{})
			time.Sleep(59 * time.Second)
			p.Resume()
		}, Live, "", "offline>connecting connecting>live live>connecting connecting>live"},
		{"but only as long as it tries", func(g *stage) {
			p := g.open(Claim{})
			g.header(p, "A")
			p.Lost()
			time.Sleep(59 * time.Second)
			g.open(Claim{}).Lost()
			time.Sleep(2 * time.Minute)
		}, Offline, "2/0 END", "offline>connecting connecting>live live>connecting connecting>offline"},
		{"a source that never sent a header", func(g *stage) {
			g.open(Claim{}).Lost()
		}, Offline, "", "offline>connecting connecting>offline"},
		{"waiting, and giving up", func(g *stage) {
			g.Await()
			g.Await()
			g.GiveUp()
		}, Offline, "", "offline>connecting connecting>offline"},
		{"giving up does not disturb who plays", func(g *stage) {
			g.header(g.open(Claim{}), "A")
			g.Await()
			g.GiveUp()
		}, Live, "", "offline>connecting connecting>live"},
		{"giving up does not disturb who is held", func(g *stage) {
			p := g.open(Claim{})
			g.header(p, "A")
			p.Lost()
			g.GiveUp()
		}, Connecting, "", "offline>connecting connecting>live live>connecting"},
		{"kicked: as if lost", func(g *stage) {
			p := g.open(Claim{})
			g.header(p, "A")
			g.Kick()
			<-p.Done()
			p.End() // does not count any more
		}, Connecting, "", "offline>connecting connecting>live live>connecting"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newStage(t)
				c.play(g)
				synctest.Wait()
				g.want(c.state, c.told)
				if got := strings.Join(g.states, " "); got != c.states {
					t.Errorf("states %s\nwant   %s", got, c.states)
				}
				up := int64(0)
				if c.state.Delivering() {
					up = 1
				}
				if n := int64(g.Metrics().SourceUp.Load()); n != up {
					t.Errorf("source_up %d in state %v", n, c.state)
				}
				if p := g.owner; p != nil {
					p.Lost()
				}
			})
		})
	}
}

func TestStreamClose(t *testing.T) { // MUST-E2
	t.Run("while a source plays: it is asked to go, the end follows its last packet", func(t *testing.T) {
		g := newStage(t)
		p := g.open(Claim{})
		g.header(p, "A")
		g.mustPublish(p, "1")
		g.Close()
		<-p.Done()
		if err := g.publish(p, "2"); !errors.Is(err, ErrRevoked) {
			t.Errorf("publishing on: %v", err)
		}
		if err := p.SetHeader(Header{}); !errors.Is(err, ErrRevoked) {
			t.Errorf("a header: %v", err)
		}
		p.Resume()
		p.Lost()
		g.want(Offline, "0/1 1, 2/0 END")
		if _, err := g.Open(t.Context(), Claim{}); !errors.Is(err, ErrClosed) {
			t.Errorf("open: %v", err)
		}
		g.Await()
		g.want(Offline, "0/1 1, 2/0 END")
	})
	t.Run("while viewers are held", func(t *testing.T) {
		g := newStage(t)
		p := g.open(Claim{})
		g.header(p, "A")
		p.Lost()
		g.Close()
		g.want(Offline, "2/0 END")
	})
	t.Run("discarding waits for the source", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := newStage(t)
			p := g.open(Claim{})
			g.header(p, "A")
			g.mustPublish(p, "1")
			g.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := g.Discard(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("discarding under the source: %v", err)
			}
			p.Lost()
			if err := g.Discard(t.Context()); err != nil || g.told() != "" {
				t.Errorf("%v, ring: %s", err, g.told())
			}
		})
	})
}

func TestStreamTakeOver(t *testing.T) { // MUST-S9
	t.Run("the second is refused, and told who is there", func(t *testing.T) {
		g := newStage(t)
		p := g.open(Claim{Name: "a"})
		defer p.Lost()
		_, err := g.Open(t.Context(), Claim{Name: "b"})
		var busy *BusyError
		if !errors.As(err, &busy) || busy.Owner != "a" || busy.Path != "x" || !strings.Contains(err.Error(), "a since") {
			t.Errorf("second: %v", err)
		}
		if g.Source() != "a" {
			t.Errorf("source %q", g.Source())
		}
	})
	t.Run("the next has the role only when the last has given it back", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := newStage(t)
			a := g.open(Claim{Name: "a"})
			g.header(a, "A")
			opened := make(chan *Publisher)
			go func() {
				b, err := g.Open(t.Context(), Claim{Name: "b", TakeOver: true})
				if err != nil {
					t.Error(err)
				}
				opened <- b
			}()
			synctest.Wait()
			select {
			case <-opened:
				t.Error("two hold the role")
			default:
			}
			if err := g.publish(a, "late"); !errors.Is(err, ErrRevoked) {
				t.Errorf("the first publishes on: %v", err)
			}
			a.End() // must not end it for its successor
			b := <-opened
			if n := len(g.states); n != 2 {
				t.Errorf("the state changed on the way: %v", g.states)
			}
			b.Resume()
			g.mustPublish(b, "1")
			g.want(Live, "0/1 1")
			b.Lost()
		})
	})
	t.Run("viewers are held when the successor has lost patience meanwhile", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := newStage(t)
			a := g.open(Claim{Name: "a"})
			g.header(a, "A")
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := g.Open(ctx, Claim{Name: "b", TakeOver: true}); err == nil {
				t.Error("two hold the role")
			}
			a.Lost()
			g.want(Connecting, "")
		})
	})
	t.Run("not for ever", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := newStage(t)
			a := g.open(Claim{Name: "a"})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := g.Open(ctx, Claim{Name: "b", TakeOver: true}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("open: %v", err)
			}
			a.Lost()
		})
	})
}

func TestStreamTellsItsWakers(t *testing.T) {
	g := newStage(t)
	a, b := &bell{}, &bell{}
	stopA, stopB := g.Subscribe(a), g.Subscribe(b)
	p := g.open(Claim{})
	g.header(p, "A")
	g.mustPublish(p, "1")
	stopA()
	stopA()
	g.mustPublish(p, "2")
	p.End()
	stopB()
	if a.rung != 2 || b.rung != 4 {
		t.Errorf("rung %d and %d times, want 2 and 4", a.rung, b.rung)
	}
}

func TestStreamCounts(t *testing.T) {
	g := newStage(t)
	g.ViewerJoined()
	g.ViewerJoined()
	g.ViewerLeft()
	p := g.open(Claim{})
	if g.Uptime() != 0 {
		t.Error("uptime before the first header")
	}
	g.header(p, "A")
	g.mustPublish(p, "12345")
	p.Lost()
	m := g.Metrics()
	if g.Viewers() != 1 || m.ViewersTotal.Load() != 2 || m.PacketsIn.Load() != 1 || m.BytesIn.Load() != 5 {
		t.Errorf("%d viewers of %d, %d packets, %d bytes", g.Viewers(), m.ViewersTotal.Load(), m.PacketsIn.Load(), m.BytesIn.Load())
	}
	if g.Name() != "X" || g.Type() != "test" || string(g.EndFrame()) != "END" || p.Stream() != g.Stream || g.Pool() != g.pool {
		t.Error("the stream forgot what it was made with")
	}
}

func TestStreamWithoutMemory(t *testing.T) {
	g := newStage(t, func(o *Options) { o.Pool = ringbuf.NewPool(1) })
	p := g.open(Claim{})
	if err := p.SetHeader(Header{Raw: []byte("A")}); !errors.Is(err, ErrNoMemory) || g.Header() != nil {
		t.Errorf("a header without memory for the end to come: %v, header %v", err, g.Header())
	}
	p.Lost()
}

// Viewers must learn that the stream has ended even when the pool is at its bound by then.
func TestStreamEndsWithoutMemory(t *testing.T) {
	pool := ringbuf.NewPool(1 << 10)
	g := newStage(t, func(o *Options) { o.Pool = pool })
	p := g.open(Claim{})
	g.header(p, "A")
	var taken []*ringbuf.Slab
	for s := pool.Get(1); s != nil; s = pool.Get(1) {
		taken = append(taken, s)
	}
	if err := p.SetHeader(Header{Change: []byte("x")}); !errors.Is(err, ErrNoMemory) {
		t.Errorf("a change without memory: %v", err)
	}
	from := g.Ring().Tail()
	p.End()
	if g.Header() != nil || g.State() != Offline || !g.Ring().Ended(from) {
		t.Errorf("header %v, state %v, ended %v", g.Header(), g.State(), g.Ring().Ended(from))
	}
	for _, s := range taken {
		s.Release()
	}
}

func TestStreamIsUnseenUntilItsFirstWakerIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newStage(t)
		want := func(want time.Duration, when string) {
			t.Helper()
			if got := g.Unseen(); got != want {
				t.Errorf("unseen for %v %s, want %v", got, when, want)
			}
		}
		want(0, "with nobody there")
		for _, wait := range []time.Duration{300, 100, 200} {
			defer g.Subscribe(&bell{at: Monotonic() + int64(wait)})()
		}
		want(100, "at first")
		time.Sleep(60 * time.Nanosecond)
		want(40, "later")
		time.Sleep(60 * time.Nanosecond)
		want(0, "when the first is due")
	})
}
