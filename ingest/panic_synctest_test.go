package ingest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stream-pump/stream-pump/stream"
	"github.com/stream-pump/stream-pump/telemetry"
)

// panicky is a source with a mistake in it, for the first times it is asked.
type panicky struct {
	*actor
	times int
}

func (p *panicky) Run(ctx context.Context, f *Feed) error {
	if p.times--; p.times >= 0 {
		if err := f.Header(p.header); err != nil {
			return err
		}
		panic("a mistake in the source")
	}
	return p.actor.Run(ctx, f)
}

// A source that panics is lost like any other, and asked again with the same pauses.
func TestSupervisorOutlivesAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		src := &panicky{actor: newActor("source", 320, true), times: 3}
		before := telemetry.Panics()
		r.supervised(t, SupervisorOptions{RollOptions: RollOptions{Sources: []Source{src}}, BackoffMin: time.Second, BackoffMax: 4 * time.Second})
		after(500 * time.Millisecond)
		if n := telemetry.Panics() - before; n != 1 {
			t.Errorf("%d panics within half a second, want 1: it must not be asked again at once", n)
		}
		after(10 * time.Second)
		if n := telemetry.Panics() - before; n != 3 {
			t.Errorf("%d panics, want 3", n)
		}
		r.expect(t, stream.Live, "source")
		r.steady(t)
	})
}
