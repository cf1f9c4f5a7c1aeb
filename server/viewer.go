package server

import (
	"syscall"
	"time"

	"github.com/panjf2000/gnet/v2"

	"github.com/stream-pump/stream-pump/ringbuf"
	"github.com/stream-pump/stream-pump/stream"
)

// viewer is an MMSH viewer on an event loop. Everything here belongs to that loop.
type viewer struct {
	cursor
	fd      int
	index   int    // place in group.viewers
	joining bool   // no media packet is out yet
	waited  bool   // that is because of the bounds of bursts
	last    bool   // what is owed is the end of the stream, nothing follows
	changed bool   // that is because the header changed and it is fixed
	expired bool   // that is because its time is over, or it has to go
	endsFor Reason // which of these
	waiting bool   // its last write was short: bytes are owed and the socket is full
	retryAt int64  // ns; while waiting, not written to before
	backoff int64  // ns; how long the next retry waits
	blocked int64  // ns; since when it has taken nothing, while waiting
	asked   int64  // ns; when its request was whole
	bytes   uint64 // sent
	conn    gnet.Conn
	group   *group
	seat    *seat
	veil    *veil // its TLS, nil without
}

// Bounds of one viewer's turn in a pass. A viewer that joins or catches up gets up to
// turnWrites writes of writeBytes; what is left waits for the next pass, so that a
// thousand joiners do not hold up the others.
const (
	writeBytes = 256 << 10
	turnWrites = 8
	retryMin   = int64(20 * time.Millisecond)
	retryMax   = int64(250 * time.Millisecond)
)

// outcome is how a viewer's turn ended.
type outcome uint8

const (
	current  outcome = iota // it has everything
	behind                  // it is owed bytes; try again
	finished                // it has the stream's end
	broken                  // its connection is broken
	stalled                 // it took nothing for too long
)

// turn writes what one viewer is owed that does not share the common window: a joiner,
// one that is behind, one at a header change or the end. Runs on the viewer's loop.
func (v *viewer) turn(l *loop, now int64) outcome {
	g := v.group
	set := l.srv.settings.Load()
	if v.waiting && now < v.retryAt {
		return v.stalledYet(now, set.StallTimeout)
	}
	wait := v.joining && !v.expired && v.mustWait(now, set)
	if wait && !v.midPacket() && !v.held {
		return behind
	}
	if v.veil != nil {
		return v.turnVeiled(l, wait, now)
	}
	for range turnWrites {
		v.catchUp(g.stream, set)
		limit := writeBytes
		if wait || v.last || v.midPacket() && (v.expired || v.late(g.stream, set)) {
			limit = 0 // it stops inside of something at nearly every write: finish that, then jump
		}
		w := &l.own
		lapped := v.gather(g.ring, w, limit, g.until)
		if w.bytes == 0 {
			w.release()
			if lapped {
				continue // the ring moved on meanwhile: catchUp finds a new place
			}
			if wait {
				return behind
			}
			return current
		}
		n, errno := writev(v.fd, w.iov[:w.iovs])
		g.writes++
		g.calls++
		out := v.wrote(l, w, n, errno, now)
		w.release()
		if out != current {
			return out
		}
	}
	return behind
}

// catchUp moves a viewer that is too far behind ahead, between two packets. One whose
// way to the end of the stream has left the ring is owed nothing but that end.
func (v *viewer) catchUp(s *stream.Stream, set *Settings) {
	if v.midPacket() {
		return
	}
	if v.expired {
		v.pre[0], v.last = s.EndFrame(), true
		return
	}
	epoch := v.epoch
	m, there := s.Ring().Peek(v.seq)
	v.changed = v.fixed && there && m.Kind == ringbuf.Change && m.Epoch != epoch
	if v.changed || !v.cursor.catchUp(s, set) || v.fixed && v.epoch != epoch {
		v.changed = v.changed || v.epoch != epoch
		v.pre[0], v.last = s.EndFrame(), true
	}
}

// wrote accounts for one write of w.
func (v *viewer) wrote(l *loop, w *window, n int, errno syscall.Errno, now int64) outcome {
	if errno != 0 && errno != syscall.EAGAIN {
		return broken
	}
	if errno == syscall.EAGAIN {
		n = 0
	}
	if n > 0 {
		v.took(l, n)
		if v.advance(w, n) || v.last && v.pre[0] == nil {
			return finished
		}
		if v.joining && v.pre[0] == nil && n == w.bytes && w.n > 0 {
			v.joined()
		}
	}
	if n == w.bytes {
		v.waiting = false
		return current
	}
	return v.full(n > 0, now, l.srv.settings.Load().StallTimeout)
}

// took counts bytes that the kernel accepted.
func (v *viewer) took(l *loop, n int) {
	v.bytes += uint64(n)
	v.group.bytes += uint64(n)
	if v.joining {
		v.seat.ticket.Burst(n)
	}
}

// joined notes that the first media packets are out.
func (v *viewer) joined() {
	v.joining = false
	v.seat.ticket.Joined()
	v.group.stream.Metrics().Join.ObserveDuration(time.Duration(stream.Monotonic() - v.asked))
}

// full notes that the viewer's socket takes no more for now.
func (v *viewer) full(progress bool, now int64, timeout time.Duration) outcome {
	if progress || !v.waiting {
		v.blocked, v.backoff = now, retryMin
	} else {
		v.backoff = min(2*v.backoff, retryMax)
	}
	v.waiting = true
	v.retryAt = now + v.backoff
	return v.stalledYet(now, timeout)
}

func (v *viewer) stalledYet(now int64, timeout time.Duration) outcome {
	if now-v.blocked > int64(timeout) {
		return stalled
	}
	return behind
}

// short accounts for a write of the common window that the socket did not take whole.
func (v *viewer) short(g *group, w *window, n int, errno syscall.Errno, now int64) outcome {
	if errno != 0 && errno != syscall.EAGAIN {
		return broken
	}
	if errno == syscall.EAGAIN {
		n = 0
	}
	v.bytes += uint64(n)
	g.bytes += uint64(n)
	v.stopInside(w.slabs[:w.iovs], n)
	return v.full(n > 0, now, g.loop.srv.settings.Load().StallTimeout)
}

// describe returns what is known of the viewer. Runs on the viewer's loop.
func (v *viewer) describe() Viewer {
	d := v.seat.describe()
	d.BytesOut, d.Skipped, d.Lag = v.bytes, v.skipped, v.lag(v.group.ring)
	return d
}
