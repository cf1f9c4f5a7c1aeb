package server

import (
	"syscall"
)

// sealing is a loop's memory for viewers behind TLS: the packets of a write in one piece,
// and the sealed records of one or several writes. Made when the first such viewer comes,
// and never larger than its bounds by more than one packet.
type sealing struct {
	flat    []byte // packets in one piece, for those who are up to date
	batch   []byte // records for them, of one call
	own     []byte // packets of one viewer's turn
	records []byte // and records for it
}

// arenaBytes is how many sealed bytes are gathered for one call of io_uring: little enough
// to be still in the processor's cache when the kernel copies them.
const arenaBytes = 256 << 10

// flatten appends what is in the vectors of a window.
func flatten(dst []byte, iov []syscall.Iovec) []byte {
	for i := range iov {
		dst = append(dst, iovBytes(&iov[i])...)
	}
	return dst
}

// scratch is memory to read into what nobody wants.
func (l *loop) scratch() []byte {
	if l.seal.own == nil {
		l.seal.own = make([]byte, 0, veilBytes)
	}
	return l.seal.own[:cap(l.seal.own)]
}

// turnVeiled is turn for a viewer behind TLS; wait tells that it may not join yet.
func (v *viewer) turnVeiled(l *loop, wait bool, now int64) outcome {
	g := v.group
	set := l.srv.settings.Load()
	if v.held {
		if out := v.drain(l, now); out != current {
			return out
		}
	}
	for range turnWrites {
		v.catchUp(g.stream, set)
		limit := veilBytes
		if wait || v.last {
			limit = 0
		}
		w := &l.own
		lapped := v.gather(g.ring, w, limit, g.until)
		if w.bytes == 0 {
			w.release()
			if lapped {
				continue
			}
			if wait {
				return behind
			}
			return current
		}
		if out := v.sendSealed(l, w, now); out != current {
			return out
		}
	}
	return behind
}

// sendSealed seals what was gathered into w and writes it.
func (v *viewer) sendSealed(l *loop, w *window, now int64) outcome {
	media := w.n > 0
	l.seal.own = flatten(l.seal.own[:0], w.iov[:w.iovs])
	v.veil.end = v.advance(w, w.bytes) || v.last && v.pre[0] == nil
	w.release()
	sealed, err := v.veil.seal(l.seal.records[:0], l.seal.own)
	l.seal.records = sealed[:0]
	if err != nil {
		return broken
	}
	v.took(l, len(l.seal.own))
	v.group.copied += uint64(len(l.seal.own))
	if v.joining && media {
		v.joined()
	}
	return v.push(l, sealed, now)
}

// drain writes what is owed.
func (v *viewer) drain(l *loop, now int64) outcome {
	return v.push(l, v.veil.owed, now)
}

// push writes sealed records and keeps what the socket does not take.
func (v *viewer) push(l *loop, sealed []byte, now int64) outcome {
	var iov [1]syscall.Iovec
	vector(&iov[0], sealed)
	n, errno := writev(v.fd, iov[:])
	v.group.writes++
	v.group.calls++
	if out := v.keep(sealed, n, errno, now, l.srv.settings.Load().StallTimeout); out != current {
		return out
	}
	return v.allOut()
}

// allOut notes that everything sealed is out.
func (v *viewer) allOut() outcome {
	v.held, v.veil.owed = false, nil
	if v.veil.end {
		return finished
	}
	return current
}

// writeVeiled gives the common window of a flush to a viewer behind TLS that is up to
// date, now or with the batch.
func (b *batch) writeVeiled(v *viewer) {
	s := &b.group.loop.seal
	if b.flat == nil {
		s.flat = flatten(s.flat[:0], b.w.iov[:b.w.iovs])
		b.flat = s.flat
	}
	if b.ring != nil && len(s.batch)+sealedBytes(len(b.flat)) > arenaBytes {
		b.flush()
	}
	at := len(s.batch)
	var err error
	if s.batch, err = v.veil.seal(s.batch, b.flat); err != nil {
		s.batch = s.batch[:at]
		b.group.settle(v, broken, b.now)
		return
	}
	v.seq += uint64(b.w.iovs)
	v.bytes += uint64(len(b.flat))
	b.group.bytes += uint64(len(b.flat))
	b.group.copied += uint64(len(b.flat))
	b.group.writes++
	i := len(b.pending)
	if b.iovs == nil {
		b.iovs = make([]syscall.Iovec, b.most())
	}
	vector(&b.iovs[i], s.batch[at:])
	if b.ring == nil {
		b.writeSealed(v, b.iovs[:1])
		s.batch = s.batch[:0]
		return
	}
	b.ring.put(i, v.fd, b.iovs[i:i+1])
	b.pending = append(b.pending, v)
	if i+1 == b.most() {
		b.flush()
	}
}

// most is how many writes one batch can be.
func (b *batch) most() int {
	if b.ring == nil {
		return 1
	}
	return b.ring.size()
}

// writeSealed writes what was sealed for one viewer.
func (b *batch) writeSealed(v *viewer, iov []syscall.Iovec) {
	n, errno := writev(v.fd, iov)
	b.group.calls++
	b.group.sharedSealed(v, iovBytes(&iov[0]), n, errno, b.now)
}

// sharedSealed accounts for a write of the common window, sealed for one viewer.
func (g *group) sharedSealed(v *viewer, sealed []byte, n int, errno syscall.Errno, now int64) {
	if errno == 0 && n == len(sealed) {
		v.waiting = false
		return
	}
	g.settle(v, v.keep(sealed, n, errno, now, g.loop.srv.settings.Load().StallTimeout), now)
}

// shares tells whether the viewer can be given the common window.
func (v *viewer) shares(w *window) bool { return v.veil == nil || w.bytes <= veilBytes }
