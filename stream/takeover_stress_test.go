package stream

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Many publishers take the role from each other, streams are kicked and closed meanwhile: there is never more than
// one writer, and the stream ends in order.
func TestOneWriterAtATime(t *testing.T) {
	g := newStage(t, func(o *Options) { o.OnState = nil; o.Hold = time.Millisecond })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var writers atomic.Int32
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			for ctx.Err() == nil {
				p, err := g.Open(ctx, Claim{Name: "p", TakeOver: true, Fallback: i%2 == 0})
				if err != nil {
					continue
				}
				if n := writers.Add(1); n != 1 {
					t.Errorf("%d writers at once", n)
				}
				if g.Header() == nil || i == 0 {
					_ = p.SetHeader(Header{Change: []byte("c")})
				} else {
					p.Resume()
				}
				for range 20 {
					if err := g.publish(p, "x"); errors.Is(err, ErrRevoked) {
						break
					}
				}
				writers.Add(-1)
				if i == 1 {
					p.End()
				} else {
					p.Lost()
				}
			}
		})
	}
	all.Go(func() {
		for ctx.Err() == nil {
			g.Kick()
			_ = g.Source()
		}
	})
	all.Wait()
	g.Close()
	if g.State() != Offline || g.Header() != nil {
		t.Errorf("state %v, header %v after the end", g.State(), g.Header())
	}
}
