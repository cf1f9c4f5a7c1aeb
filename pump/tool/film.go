package tool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/stream-pump/stream-pump/asf"
)

// ErrNotPlayable says that a file cannot be pushed.
var ErrNotPlayable = errors.New("not a playable asf file")

// film is an ASF file that is played from disk: one packet in memory at a time.
type film struct {
	file    *os.File
	name    string
	header  []byte // as a live encoder sends it
	size    int    // bytes of each packet
	packets int64
	first   uint32 // ms, send time of the first packet
	length  uint32 // ms, from one round to the next
	data    int64  // offset of the first packet
}

// openFilm reads a file's header and finds out how many packets it has and how long it is.
func openFilm(path string) (*film, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	f := &film{file: file, name: filepath.Base(path)}
	if err := f.load(); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%s: %w: %w", f.name, ErrNotPlayable, err)
	}
	return f, nil
}

func (f *film) close() { _ = f.file.Close() }

func (f *film) load() error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is no regular file")
	}
	raw, err := f.readHeader()
	if err != nil {
		return err
	}
	h, err := asf.ParseHeader(raw)
	if err != nil {
		return err
	}
	f.header, f.size, f.data = asf.SetLive(raw), h.PacketSize, int64(len(raw))
	room := info.Size() - f.data
	declared := int64(binary.LittleEndian.Uint64(raw[len(raw)-asf.DataHeadSize+16:])) - asf.DataHeadSize
	if !h.Broadcast() && declared > 0 && declared < room {
		room = declared // an index follows
	}
	f.packets = room / int64(f.size)
	return f.measure(h)
}

func (f *film) readHeader() ([]byte, error) {
	var first [24]byte
	if _, err := f.file.ReadAt(first[:], 0); err != nil {
		return nil, fmt.Errorf("reading its first 24 bytes: %w", err)
	}
	n, err := asf.HeaderSize(first[:])
	if err != nil {
		return nil, err
	}
	raw := make([]byte, n)
	if _, err := f.file.ReadAt(raw, 0); err != nil {
		return nil, fmt.Errorf("reading its header of %d bytes: %w", n, err)
	}
	return raw, nil
}

// measure finds the first and the last packet with a send time, and so the length.
func (f *film) measure(h *asf.Header) error {
	buf := make([]byte, f.size)
	for ; f.packets > 0; f.packets-- { // what is no packet at the end is an index
		if p, err := f.packet(f.packets-1, buf); err == nil {
			if _, err := asf.ParsePacket(p, f.size, asf.StreamSet{}); err == nil {
				break
			}
		}
	}
	if f.packets == 0 {
		return errors.New("it has no packets")
	}
	last, err := f.sendTime(f.packets-1, buf)
	if err != nil {
		return err
	}
	if f.first, err = f.sendTime(0, buf); err != nil {
		return fmt.Errorf("its first packet: %w", err)
	}
	sent := max(int64(asf.TimeDiff(last, f.first)), 0)
	f.length = uint32(sent + max(sent/max(f.packets-1, 1), 1))
	// The header knows better when picture and sound end, if it is to be believed.
	if played := int64(h.PlayDuration/10_000) - int64(h.Preroll); !h.Broadcast() && played > sent && played < sent+5000 {
		f.length = uint32(played)
	}
	return nil
}

func (f *film) sendTime(i int64, buf []byte) (uint32, error) {
	p, err := f.packet(i, buf)
	if err != nil {
		return 0, err
	}
	return asf.SendTime(p)
}

// packet reads packet i into buf, which holds one.
func (f *film) packet(i int64, buf []byte) ([]byte, error) {
	p := buf[:f.size]
	at := f.data + i*int64(f.size)
	if _, err := f.file.ReadAt(p, at); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("reading packet %d at offset %d: %w", i, at, err)
	}
	return p, nil
}
