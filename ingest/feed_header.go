package ingest

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/stream"
)

// Header takes the source's header, at its beginning or in mid-stream, and keeps raw. An equivalent of the header in
// force changes nothing for viewers; another one reaches them as a stream change, and begins with a key frame. It
// fails when the header cannot be used, and as Open does.
func (f *Feed) Header(raw []byte) error {
	h, mixed, err := usable(raw)
	if err != nil {
		return err
	}
	f.pad = mixed
	again := f.header != nil
	f.header, f.keys, f.all = h, h.KeyStreams(), h.StreamSet()
	if f.opts.Trial && f.pub == nil {
		f.pending = true
		f.gate.arm(!f.keys.Empty() && f.opts.Stream.Header() != nil)
		return nil
	}
	if err := f.Open(); err != nil {
		return err
	}
	if !again {
		f.warn(h)
	}
	return f.enforce()
}

func (f *Feed) warn(h *asf.Header) {
	for _, w := range h.Warnings() {
		f.opts.Log.Warn("header of the source", slog.String("stream", f.opts.Stream.Path()), slog.String("warning", w))
	}
}

// enforce puts f.header in force. The feed holds the role, and with it the timeline.
func (f *Feed) enforce() error {
	now := f.opts.Stream.Header()
	running := now != nil && f.t.raw != nil && now.Epoch == f.t.epoch
	if running && asf.Equivalent(f.t.raw, f.header.Raw) {
		f.resume()
		return nil
	}
	if now == nil {
		f.t.located = false // after an end nobody is left who counts along
	}
	f.gate.arm(now != nil && !f.keys.Empty())
	return f.announce()
}

// resume goes on under the header in force.
func (f *Feed) resume() {
	if f.mode == flowing || f.mode == catching {
		return // repeated in mid-stream: place looks at every packet's time
	}
	f.pub.Resume()
	if !f.t.timed {
		f.mode = fresh
		return
	}
	f.mode = resuming
	f.cursor, f.caught = 0, time.Time{}
	f.gate.arm(!f.keys.Empty())
}

// announce begins a header epoch with f.header, which viewers that are there get as a stream change.
func (f *Feed) announce() error {
	raw := f.header.Raw
	change, alt := mmsh.AppendStreamChange(make([]byte, 0, mmsh.HeaderSize(len(raw))+32), raw)
	err := f.pub.SetHeader(stream.Header{
		Raw:        raw,
		Frame:      mmsh.AppendHeader(make([]byte, 0, mmsh.HeaderSize(len(raw))), raw),
		Change:     change,
		AltStart:   alt,
		PacketSize: f.header.PacketSize,
		Bitrate:    int64(f.header.MaxBitrate),
		KeyFrames:  !f.keys.Empty(),
		Info:       f.header,
	})
	if err != nil {
		return fmt.Errorf("announcing the header: %w", err)
	}
	f.t.raw, f.t.epoch = raw, f.opts.Stream.Header().Epoch
	f.t.timed, f.t.delta = false, 0
	f.mode = fresh
	return nil
}

// usable brings a header into the form that viewers get, or refuses it. A header that is live already stays as it
// is, byte for byte; one that is too big for common players loses its padding. mixed says that packets must be
// delivered at full size, because players disagree about which of two sizes counts.
func usable(raw []byte) (h *asf.Header, mixed bool, err error) {
	if h, err = asf.ParseHeader(raw); err != nil {
		return nil, false, fmt.Errorf("asf header of %d bytes: %w", len(raw), err)
	}
	mixed = h.MinPacketSize != h.MaxPacketSize
	live := raw
	if mixed || !h.Broadcast() {
		live = asf.SetLive(raw)
	}
	if len(live) > asf.PlayerHeaderSize {
		live = asf.StripHeaderPadding(live)
	}
	if &live[0] != &raw[0] {
		if h, err = asf.ParseHeader(live); err != nil {
			return nil, false, fmt.Errorf("asf header made live: %w", err)
		}
	}
	if err := h.Validate(); err != nil {
		return nil, false, fmt.Errorf("asf header: %w", err)
	}
	return h, mixed, nil
}
