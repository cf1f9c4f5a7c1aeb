package ingest

import (
	"context"
	"slices"
	"time"
)

// roll is a list of sources in force. It is not changed.
type roll struct {
	sources     []Source
	pushFirst   bool
	returnAfter time.Duration // 0 or less: never
	replaced    chan struct{} // closed when another list is in force
}

func newRoll(o RollOptions) *roll {
	if o.ReturnAfter == 0 {
		o.ReturnAfter = 30 * time.Second
	}
	return &roll{sources: slices.Clone(o.Sources), pushFirst: o.PushFirst, returnAfter: o.ReturnAfter, replaced: make(chan struct{})}
}

// isBackup tells whether source i is anything but the first choice.
func (r *roll) isBackup(i int) bool { return i > 0 || r.pushFirst }

// index returns the place of a source, -1 if it has none.
func (r *roll) index(src Source) int { return slices.Index(r.sources, src) }

// stale tells whether another list is in force.
func (r *roll) stale() bool {
	select {
	case <-r.replaced:
		return true
	default:
		return false
	}
}

// rest waits for d, or until another list is in force, and tells whether ctx was not done before.
func (r *roll) rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.replaced:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
