package server

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/mmsh"
)

// tape is what a viewer received, checked while it came: framing, whole packets, their
// order, that gaps of the stream show as gaps of LocationId, that no packet precedes
// its header.
type tape struct {
	mu sync.Mutex
	taped
	done    chan struct{}
	awaited string // types that may come next
	epoch   uint32 // of the packets behind the last header, 0 when none came yet
}

// taped is what is on a tape.
type taped struct {
	packets  int
	missing  uint32  // packets skipped inside the tape
	landed   []stamp // first packets behind the gaps
	first    stamp
	last     stamp
	location uint32 // of the last packet
	headers  int
	changes  int
	ends     []uint32 // reasons of $E
	bytes    int64
	err      error
}

// record follows the framed packets of r until its end. before is called before each
// packet is read, nil for nothing.
func record(r io.Reader, before func()) *tape {
	t := &tape{done: make(chan struct{}), awaited: "H"}
	go func() {
		defer close(t.done)
		for {
			if before != nil {
				before()
			}
			f, err := readFrame(r)
			t.mu.Lock()
			if err == nil {
				err = t.add(f)
			}
			t.err = err
			t.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return t
}

func (t *tape) add(f frame) error {
	t.bytes += int64(len(f.raw))
	if !contains(t.awaited, f.typ) {
		return fmt.Errorf("$%c where one of %q is due, after %d packets", f.typ, t.awaited, t.packets)
	}
	switch f.typ {
	case mmsh.TypeHeader:
		t.headers++
		t.awaited, t.epoch = "DEC", 0
	case mmsh.TypeChange:
		t.changes++
		t.awaited = "H"
	case mmsh.TypeEnd:
		t.ends = append(t.ends, f.reason)
		t.awaited = ""
		if f.reason == mmsh.ReasonEntryEnd {
			t.awaited = "C"
		}
	case mmsh.TypeData:
		return t.packet(f)
	}
	return nil
}

func (t *tape) packet(f frame) error {
	s, ok := readStamp(f.payload)
	if !ok {
		return fmt.Errorf("packet %d with location %d is not whole", t.packets, f.location)
	}
	if t.packets == 0 {
		t.first = s
	} else if s.number <= t.last.number || s.number-t.last.number != f.location-t.location {
		return fmt.Errorf("packet %d at location %d after %d at %d", s.number, f.location, t.last.number, t.location)
	} else {
		if skipped := s.number - t.last.number - 1; skipped > 0 {
			t.missing += skipped
			t.landed = append(t.landed, s)
		}
	}
	if t.epoch == 0 {
		if t.epoch = s.epoch; t.packets > 0 && s.epoch <= t.last.epoch {
			return fmt.Errorf("packet %d of epoch %d behind a new header, after epoch %d", s.number, s.epoch, t.last.epoch)
		}
	} else if s.epoch != t.epoch {
		return fmt.Errorf("packet %d of epoch %d under the header of epoch %d", s.number, s.epoch, t.epoch)
	}
	t.packets++
	t.last, t.location = s, f.location
	return nil
}

func contains(set string, b byte) bool {
	for i := range len(set) {
		if set[i] == b {
			return true
		}
	}
	return false
}

// now returns what is on the tape so far.
func (t *tape) now() taped {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.taped
}

// awaitPacket waits for a packet, and fails when the tape ends before.
func (t *tape) awaitPacket(tb testing.TB, number uint32) {
	tb.Helper()
	worldtest.Eventually(tb, fmt.Sprintf("packet %d arrives", number), func() bool {
		at := t.now()
		if at.err != nil {
			tb.Fatalf("ended before packet %d, at %+v: %v", number, at.last, at.err)
		}
		return at.packets > 0 && at.last.number >= number
	})
}

// wait waits for the end of the tape and returns what ended it, nil for a clean end
// between two packets.
func (t *tape) wait(tb testing.TB) error {
	tb.Helper()
	select {
	case <-t.done:
	case <-time.After(patience):
		tb.Fatal("the connection does not end")
	}
	return t.fault()
}

// fault is what ended a tape that is done, nil for an end between two packets and for
// one that the test itself brought about.
func (t *tape) fault() error {
	if errors.Is(t.err, net.ErrClosed) || errors.Is(t.err, io.EOF) && !errors.Is(t.err, io.ErrUnexpectedEOF) {
		return nil
	}
	return t.err
}

// finished waits for the end and sees that the stream's end came last.
func (t *tape) finished(tb testing.TB) {
	tb.Helper()
	if err := t.wait(tb); err != nil {
		tb.Fatal(err)
	}
	if n := len(t.ends); n == 0 || t.ends[n-1] != mmsh.ReasonEnd {
		tb.Fatalf("the connection ended without the end of the stream (%v) after %d packets, last %+v", t.ends, t.packets, t.last)
	}
}

// record follows the client's connection.
func (c *client) record() *tape {
	_ = c.conn.SetReadDeadline(time.Time{})
	return record(c.br, nil)
}

// pause records, but reads nothing before the returned function is called.
func (c *client) pause() (t *tape, goOn func()) {
	_ = c.conn.SetReadDeadline(time.Time{})
	gate := make(chan struct{})
	c.Cleanup(func() { // let it go, whatever came
		select {
		case <-gate:
		default:
			close(gate)
		}
	})
	return record(c.br, func() { <-gate }), func() { close(gate) }
}

// plainHeader reads the header of plain ASF: raw, or with nil whatever comes.
func plainHeader(r io.Reader, raw []byte) error {
	head := make([]byte, 24)
	if _, err := io.ReadFull(r, head); err != nil {
		return err
	}
	size, err := asf.HeaderSize(head)
	if err != nil {
		return err
	}
	got := append(head, make([]byte, size-len(head))...)
	if _, err := io.ReadFull(r, got[len(head):]); err != nil {
		return err
	}
	if raw != nil && string(got) != string(raw) {
		return errors.New("another header than the source's")
	}
	return nil
}

// recordPlain follows a body of plain ASF: the header, then packets of one size.
func recordPlain(r io.Reader, raw []byte) *tape {
	t := &tape{done: make(chan struct{})}
	go func() {
		defer close(t.done)
		if err := plainHeader(r, raw); err != nil {
			t.mu.Lock()
			t.err = err
			t.mu.Unlock()
			return
		}
		for {
			p := make([]byte, packetSize)
			_, err := io.ReadFull(r, p)
			t.mu.Lock()
			if err == nil {
				err = t.packet(frame{payload: p, location: t.location + t.step(p)})
			}
			t.err = err
			t.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return t
}

// step is what the number of a packet is ahead of the last one: plain ASF has no
// LocationId to compare with.
func (t *tape) step(p []byte) uint32 {
	s, _ := readStamp(p)
	return s.number - t.last.number
}
