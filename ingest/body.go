package ingest

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/ringbuf"
)

// LostError says that the connection of a body broke, or timed out, before the body was complete.
type LostError struct{ Err error }

func (e *LostError) Error() string { return "connection lost: " + e.Err.Error() }

// Unwrap returns what reading the connection said.
func (e *LostError) Unwrap() error { return e.Err }

// BodyOptions describe a body.
type BodyOptions struct {
	Framing mmsh.Framing // of a session that goes on; FramingUnknown: the first bytes tell
	Role    mmsh.Role    // who sends it: an encoder's order of packets is enforced
	Seen    bool         // the body continues a session whose header the feed has

	// Alive is called for every header, packet, change and end, before its bytes are read; entryEnd says that a
	// header has to follow. It is where deadlines are set; it may be nil.
	Alive func(kind mmsh.EventKind, entryEnd bool)

	// Rest is called before each read; nil lets packets gather until shortly before somebody looks at them.
	Rest func()
}

// BodyResult is what a body was. It is valid with an error too.
type BodyResult struct {
	Framing mmsh.Framing
	Header  []byte // the last one, nil when there was none
	Packets uint64 // met, published or not
	Ended   bool   // an end packet or an index was met: the stream is over
	Reason  uint32 // of that end packet

	Counters mmsh.Counters // of a framed body
}

// bodyReader reads one body into a feed.
type bodyReader struct {
	r    *bufio.Reader
	src  *tellingReader
	feed *Feed
	opts BodyOptions
	res  BodyResult
}

// ReadBody reads a pushed or pulled body into feed until it ends. Deadlines are the caller's: they surface as a
// *[LostError]. Other errors are the source's fault (they wrap an error of mmsh or asf, or io.ErrUnexpectedEOF for
// a body that ends inside a packet, and name the offset) or the feed's. Packets go straight into slabs; besides them
// memory is bounded by one header.
func ReadBody(r io.Reader, feed *Feed, o BodyOptions) (BodyResult, error) {
	if o.Rest == nil {
		o.Rest = feed.rest
	}
	src := &tellingReader{r: r, rest: o.Rest}
	b := &bodyReader{r: bufio.NewReaderSize(src, 4096), src: src, feed: feed, opts: o}
	if b.opts.Alive == nil {
		b.opts.Alive = func(mmsh.EventKind, bool) {}
	}
	err := b.read()
	if err != nil && b.broken() {
		err = &LostError{Err: fmt.Errorf("%w (after %d packets)", src.err, b.res.Packets)}
	}
	return b.res, err
}

// tellingReader remembers how the body ended: in order (io.EOF), or broken off.
type tellingReader struct {
	r    io.Reader
	rest func() // called before each read
	err  error
}

func (t *tellingReader) Read(p []byte) (int, error) {
	t.rest()
	n, err := t.r.Read(p)
	if err != nil {
		t.err = err
	}
	return n, err
}

func (b *bodyReader) read() error {
	b.res.Framing = b.opts.Framing
	if b.opts.Framing == mmsh.FramingUnknown {
		f, err := b.detect()
		if err != nil {
			return err
		}
		b.res.Framing = f
	}
	if b.res.Framing == mmsh.PlainASF {
		return b.plain()
	}
	return b.framed()
}

// detect tells the framing by the first bytes. A server may send other packets in front of its header, so that any
// packet type will do there.
func (b *bodyReader) detect() (mmsh.Framing, error) {
	var first []byte
	for {
		f, need, err := mmsh.DetectFraming(first)
		if err != nil && b.opts.Role == mmsh.Pull && (first[0] == 0x24 || first[0] == 0xA4) {
			return mmsh.PullFraming, nil
		}
		if err != nil || need == 0 {
			return f, err
		}
		if first, err = b.r.Peek(need); err != nil && len(first) < need {
			if len(first) == 0 {
				return 0, fmt.Errorf("body is empty: %w", mmsh.ErrUnknownBody)
			}
			return 0, fmt.Errorf("body of %d bytes: %w", len(first), mmsh.ErrUnknownBody)
		}
	}
}

// framed reads MMSH packets.
func (b *bodyReader) framed() error {
	role := b.opts.Role
	if b.res.Framing == mmsh.PullFraming {
		role = mmsh.Pull // only one kind of program pushes this, and it does not know an encoder's order
	}
	d := mmsh.NewDecoder(b.res.Framing, role)
	defer func() { b.res.Counters = d.Counters() }()
	if b.opts.Seen {
		d.Continue()
		b.bound(d)
	}
	for !b.res.Ended {
		if n, err := io.ReadFull(b.r, d.Buffer()); err != nil {
			if b.broken() {
				return err
			}
			return d.EndOfBody(n)
		}
		ev, err := d.Next()
		if err != nil {
			return err
		}
		if err := b.event(d, ev); err != nil {
			return err
		}
	}
	return nil
}

// bound makes packets above the header's size an error where they are an encoder's.
func (b *bodyReader) bound(d *mmsh.Decoder) {
	if b.opts.Role == mmsh.Push {
		d.SetPacketSize(b.feed.PacketSize())
	}
}

func (b *bodyReader) event(d *mmsh.Decoder, ev mmsh.Event) error {
	switch ev.Kind {
	case mmsh.None:
		return nil
	case mmsh.Skip:
		return b.skip(ev)
	case mmsh.Packet:
		b.opts.Alive(ev.Kind, false)
		return b.packet(d, ev)
	}
	b.opts.Alive(ev.Kind, ev.EntryEnd())
	if ev.Header != nil {
		b.res.Header = ev.Header
		if err := b.feed.Header(ev.Header); err != nil {
			return fmt.Errorf("body offset %d: %w", d.Offset(), err)
		}
		b.bound(d)
	}
	if ev.Kind == mmsh.End && !ev.EntryEnd() {
		b.res.Ended, b.res.Reason = true, ev.Reason
	}
	return b.skip(ev)
}

// skip passes over bytes without meaning.
func (b *bodyReader) skip(ev mmsh.Event) error {
	n, err := b.r.Discard(ev.Length)
	if err != nil && !b.broken() {
		return ev.Cut(n)
	}
	return err
}

// broken tells that the body did not end in order.
func (b *bodyReader) broken() bool { return b.src.err != nil && !errors.Is(b.src.err, io.EOF) }

// packet reads a packet straight to where it stays.
func (b *bodyReader) packet(d *mmsh.Decoder, ev mmsh.Event) error {
	b.res.Packets++
	slab := b.feed.Slab(ev.Length)
	if slab == nil {
		return b.skip(ev)
	}
	if n, err := io.ReadFull(b.r, slab.Bytes()[headBytes:]); err != nil {
		slab.Release()
		return fmt.Errorf("body offset %d: %w", d.Offset(), ev.Cut(n))
	}
	return b.publish(slab, Location{ID: ev.LocationID, Has: ev.HasLocation})
}

func (b *bodyReader) publish(slab *ringbuf.Slab, at Location) error {
	if err := b.feed.Packet(slab, at); err != nil {
		return fmt.Errorf("packet %d: %w", b.res.Packets, err)
	}
	return nil
}

// plain reads an ASF file: a header, packets of its size, and an end that is seldom announced.
func (b *bodyReader) plain() error {
	b.opts.Alive(mmsh.Header, false)
	raw, err := readHeader(b.r)
	if err != nil {
		return err
	}
	b.res.Header = raw
	if err := b.feed.Header(raw); err != nil {
		return err
	}
	offset, size := int64(len(raw)), b.feed.PacketSize()
	for {
		over, err := b.boundary(offset)
		if over || err != nil {
			return err
		}
		b.opts.Alive(mmsh.Packet, false)
		if err := b.whole(size, offset); err != nil {
			return err
		}
		offset += int64(size)
	}
}

// boundary looks for the end of a plain body in front of a packet: nothing more, an index, or a stray end packet.
func (b *bodyReader) boundary(offset int64) (over bool, err error) {
	first, err := b.r.Peek(16)
	switch {
	case asf.EndsAt(first):
		b.res.Ended = true
		return true, nil
	case err == nil:
		return false, nil
	case len(first) == 0 && errors.Is(err, io.EOF):
		return true, nil
	}
	return true, fmt.Errorf("body offset %d: %d bytes of an asf packet: %w", offset, len(first), io.ErrUnexpectedEOF)
}

// whole reads one packet of a plain body.
func (b *bodyReader) whole(size int, offset int64) error {
	b.res.Packets++
	slab := b.feed.Slab(size)
	if slab == nil {
		_, err := b.r.Discard(size)
		return err
	}
	if n, err := io.ReadFull(b.r, slab.Bytes()[headBytes:]); err != nil {
		slab.Release()
		return fmt.Errorf("body offset %d: %d of %d bytes of an asf packet: %w", offset, n, size, io.ErrUnexpectedEOF)
	}
	return b.publish(slab, Location{})
}

// readHeader reads the Header Object and the beginning of the Data Object.
func readHeader(r *bufio.Reader) ([]byte, error) {
	first, err := r.Peek(24)
	if err != nil {
		return nil, fmt.Errorf("asf header: %d of its first 24 bytes: %w", len(first), io.ErrUnexpectedEOF)
	}
	size, err := asf.HeaderSize(first)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, size)
	if n, err := io.ReadFull(r, raw); err != nil {
		return nil, fmt.Errorf("asf header: %d of %d bytes: %w", n, size, io.ErrUnexpectedEOF)
	}
	return raw, nil
}
