package ingest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/internal/disk"
	"github.com/stream-pump/stream-pump/internal/testcard"
)

// File is a source that plays an ASF file for ever, in real time. Times run on from round to round, so that nobody
// sees where the file begins again. It is read from disk as it plays.
type File struct {
	name string
	open func() (fileBytes, error)
}

// fileBytes is an open file.
type fileBytes interface {
	io.ReaderAt
	io.Closer
	Size() (int64, error)
}

// NewFile returns the source for the file at path, which need not exist yet.
func NewFile(path string) *File {
	return &File{name: "file " + filepath.Base(path), open: func() (fileBytes, error) {
		f, err := disk.Open(path)
		if err != nil {
			return nil, err
		}
		return diskFile{f}, nil
	}}
}

// NewTestCard returns the source of the built-in test card.
func NewTestCard() *File {
	return &File{name: "test card", open: func() (fileBytes, error) {
		return memoryFile{bytes.NewReader(testcard.ASF)}, nil
	}}
}

type diskFile struct{ *os.File }

// Size implements fileBytes.
func (f diskFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

type memoryFile struct{ *bytes.Reader }

// Size implements fileBytes.
func (f memoryFile) Size() (int64, error) { return f.Reader.Size(), nil }

// Close implements fileBytes.
func (memoryFile) Close() error { return nil }

// Name implements Source.
func (f *File) Name() string { return f.name }

// Run implements Source. Errors name the file and, where something in it is wrong, the offset.
func (f *File) Run(ctx context.Context, feed *Feed) error {
	file, err := f.open()
	if err != nil {
		return err
	}
	defer file.Close()
	r, err := newReel(f.name, file)
	if err != nil {
		return err
	}
	if err := feed.Header(bytes.Clone(r.header)); err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	start, begin := time.Now(), r.first
	for round := uint64(0); ; round++ {
		moved := round * uint64(r.length)
		if err := r.play(ctx, feed, func(send uint32) time.Time {
			at := time.Duration(moved)*time.Millisecond + time.Duration(asf.TimeDiff(send, begin))*time.Millisecond
			if late := time.Since(start) - at; late > maxLate {
				start = start.Add(late) // the machine slept: go on from here, do not catch up
			}
			return start.Add(at)
		}, uint32(moved)); err != nil {
			return err
		}
	}
}

// maxLate is how far playing may lag behind the clock before the clock is set back.
const maxLate = 5 * time.Second

// reel is a parsed file: where its packets are and how long one round takes.
type reel struct {
	name    string
	file    fileBytes
	size    int64 // of the file, when it was parsed
	header  []byte
	packet  int   // bytes of each packet
	packets int64 // whole packets
	first   uint32
	length  uint32 // ms, from the beginning of one round to that of the next
}

// newReel reads the header, and the packets at both ends.
func newReel(name string, file fileBytes) (*reel, error) {
	size, err := file.Size()
	if err != nil {
		return nil, err
	}
	raw, err := readHeader(bufio.NewReader(io.NewSectionReader(file, 0, size)))
	switch {
	case errors.Is(err, asf.ErrNotASF):
		return nil, fmt.Errorf("%s is not an ASF file: %w", name, err)
	case err != nil:
		return nil, fmt.Errorf("%s, %d bytes: %w", name, size, err)
	}
	h, err := asf.ParseHeader(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	r := &reel{name: name, file: file, size: size, header: raw, packet: h.PacketSize}
	if err := r.count(h); err != nil {
		return nil, err
	}
	return r, r.measure(h)
}

// count finds out how many packets there are: as many as the Data Object holds, or as fit before an index when it
// does not say, as in a recording of a live stream.
func (r *reel) count(h *asf.Header) error {
	start := int64(len(r.header))
	data := binary.LittleEndian.Uint64(r.header[start-asf.DataHeadSize+16:])
	room := r.size - start
	if data > asf.DataHeadSize && !h.Broadcast() {
		if data-asf.DataHeadSize > uint64(room) {
			return fmt.Errorf("%s is cut off: its packets reach to offset %d, the file ends at %d: %w",
				r.name, uint64(start)+data-asf.DataHeadSize, r.size, io.ErrUnexpectedEOF)
		}
		room = int64(data - asf.DataHeadSize)
	}
	r.packets = room / int64(r.packet)
	if r.packets == 0 {
		return fmt.Errorf("%s has no packets behind its header of %d bytes: %w", r.name, start, io.ErrUnexpectedEOF)
	}
	for r.packets > 1 { // an index behind the packets, or the beginning of one
		var first [16]byte
		if _, err := r.file.ReadAt(first[:], r.at(r.packets-1)); err != nil {
			return fmt.Errorf("%s at offset %d: %w", r.name, r.at(r.packets-1), err)
		}
		if p, err := r.read(make([]byte, r.packet), r.packets-1); err == nil {
			if _, err := asf.ParsePacket(p, r.packet, asf.StreamSet{}); err == nil && !asf.EndsAt(first[:]) {
				break
			}
		}
		r.packets--
	}
	return nil
}

// at is the offset of packet i.
func (r *reel) at(i int64) int64 { return int64(len(r.header)) + i*int64(r.packet) }

func (r *reel) read(dst []byte, i int64) ([]byte, error) {
	if _, err := r.file.ReadAt(dst, r.at(i)); err != nil {
		return nil, fmt.Errorf("%s at offset %d: %w", r.name, r.at(i), err)
	}
	return dst, nil
}

// measure finds the length of a round: what the header says, if the packets bear it out, else from first to last.
func (r *reel) measure(h *asf.Header) error {
	buf := make([]byte, r.packet)
	times := [2]uint32{}
	for i, n := range []int64{0, r.packets - 1} {
		p, err := r.read(buf, n)
		if err != nil {
			return err
		}
		info, err := asf.ParsePacket(p, r.packet, h.KeyStreams())
		if err != nil {
			return fmt.Errorf("%s at offset %d: %w", r.name, r.at(n), err)
		}
		times[i] = info.SendTime
	}
	r.first = times[0]
	sent := max(int64(asf.TimeDiff(times[1], times[0])), 0)
	step := max(sent/max(r.packets-1, 1), 1)
	played := int64(h.PlayDuration/10_000) - int64(h.Preroll)
	if !h.Broadcast() && played > sent && played <= sent+h.PrerollDuration().Milliseconds()+5000 {
		r.length = uint32(played)
	} else {
		r.length = uint32(min(sent+step, 1<<31-1))
	}
	return nil
}

// play sends the packets once, each when it is due, with delta (ms) added to its times.
func (r *reel) play(ctx context.Context, feed *Feed, due func(send uint32) time.Time, delta uint32) error {
	if size, err := r.file.Size(); err != nil || size != r.size {
		return fmt.Errorf("%s has changed while it was played: %d bytes, now %d (%w)", r.name, r.size, size, os.ErrInvalid)
	}
	for i := range r.packets {
		slab := feed.Slab(r.packet)
		if slab == nil {
			if !sleep(ctx, 20*time.Millisecond) {
				return ctx.Err()
			}
			continue
		}
		p, err := r.read(slab.Bytes()[headBytes:], i)
		if err != nil {
			slab.Release()
			return err
		}
		if send, err := asf.SendTime(p); err == nil && !sleep(ctx, time.Until(due(send))) {
			slab.Release()
			return ctx.Err()
		}
		if delta != 0 {
			_ = asf.Rebase(p, r.packet, delta) // what cannot be moved is malformed, which the feed finds as well
		}
		if err := feed.Packet(slab, Location{}); err != nil {
			return fmt.Errorf("%s at offset %d: %w", r.name, r.at(i), err)
		}
	}
	return nil
}
