package tool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/mmsh"
)

// watch measures the packets of a Play.
type watch struct {
	report *ProbeReport
	header *asf.Header
	buf    []byte

	began, first, last   time.Time // connecting; the first packet; the latest
	steady               time.Time // since when pace is measured
	lastSend, steadySend uint32    // ms
	lastKey              uint32    // ms, presentation time
	spans                int64     // ms, sum of key frame intervals
	media                int64     // ms of send time, jumps left out
	mediaBytes           int64     // of the packets at the end of this time
	jumped               bool      // a new header: the next step is no jump
	counters             mmsh.Counters
}

// steadyAfter is when the burst at the beginning is surely over.
const steadyAfter = time.Second

// jump is a step of the send time, in ms, that no encoder makes.
const jump = 1000

func (p *prober) play(ctx context.Context, a address) error {
	w := &watch{report: &p.report, header: p.header, began: time.Now()}
	x, err := p.ask(ctx, a, mmsh.AppendPlayRequest)
	if err != nil {
		return err
	}
	defer x.close()
	if x.resp.StatusCode != http.StatusOK {
		return refusalOf(a, x.resp)
	}
	p.report.ContentType = firstLine(x.resp.Header.Get("Content-Type"))
	d := mmsh.NewDecoder(mmsh.PullFraming, mmsh.Pull)
	end := w.began.Add(p.opts.silence)
	for {
		_ = x.conn.SetReadDeadline(end)
		ev, err := nextEvent(x.br, d)
		w.counters = d.Counters()
		if err == nil {
			err = p.event(a, w, ev, x.br)
		}
		if !w.first.IsZero() {
			end = w.first.Add(p.opts.Duration)
		}
		if err != nil || p.report.Ended || time.Now().After(end) {
			w.finish()
			return p.judge(ctx, a, err)
		}
	}
}

// event takes one event with its payload.
func (p *prober) event(a address, w *watch, ev mmsh.Event, r io.Reader) error {
	if ev.Kind == mmsh.Packet {
		return w.packet(ev, r)
	}
	if ev.Header != nil {
		if err := p.take(a, ev.Header); err != nil {
			return err
		}
		w.header, w.jumped = p.header, true
	}
	switch {
	case ev.Kind == mmsh.Change:
		p.report.Changes++
	case ev.Kind == mmsh.End && !ev.EntryEnd():
		p.report.Ended = true
	}
	_, err := io.CopyN(io.Discard, r, int64(ev.Length))
	return err
}

// judge makes the error of a look that is over; the time being over is none.
func (p *prober) judge(ctx context.Context, a address, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case p.report.Packets == 0 && p.report.Ended:
		return fmt.Errorf("%s: %w: the server ended the stream at once", a, ErrSilent)
	case p.report.Packets == 0 && (err == nil || errors.Is(err, os.ErrDeadlineExceeded)):
		return fmt.Errorf("%s: %w within %v, though it answers: its source is silent", a, ErrSilent, p.opts.silence)
	case err == nil, errors.Is(err, os.ErrDeadlineExceeded):
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		p.report.Ended = true
		if p.report.Packets == 0 {
			return fmt.Errorf("%s: %w: the server closed the connection", a, ErrSilent)
		}
		return nil
	}
	return fmt.Errorf("watching %s: %w", a, err)
}

func (w *watch) packet(ev mmsh.Event, r io.Reader) error {
	if cap(w.buf) < ev.Length {
		w.buf = make([]byte, ev.Length)
	}
	b := w.buf[:ev.Length]
	if _, err := io.ReadFull(r, b); err != nil {
		return err
	}
	now := time.Now()
	if w.header == nil {
		return fmt.Errorf("%w: a packet before the header", ErrNotMMSH)
	}
	info, err := asf.ParsePacket(b, w.header.PacketSize, w.header.KeyStreams())
	if err != nil {
		w.report.BadPackets++
		return nil
	}
	if w.first.IsZero() {
		w.start(now, info)
	}
	w.step(now, info, len(b))
	if info.KeyStart {
		w.key(info)
	}
	return nil
}

func (w *watch) start(now time.Time, info asf.Packet) {
	w.first, w.lastSend = now, info.SendTime
	w.report.JoinMS = now.Sub(w.began).Milliseconds()
	w.report.BeginsWithKeyFrame = info.KeyStart || w.header.KeyStreams().Empty()
}

// step counts a packet and the time since the one before.
func (w *watch) step(now time.Time, info asf.Packet, n int) {
	d := asf.TimeDiff(info.SendTime, w.lastSend)
	w.lastSend, w.last = info.SendTime, now
	switch {
	case w.jumped:
		w.jumped, w.steady = false, time.Time{}
	case d < 0 || d > jump:
		w.report.TimeJumps++
		w.steady = time.Time{}
	default:
		w.media += int64(d)
		if w.report.Packets > 0 {
			w.mediaBytes += int64(n)
		}
	}
	w.report.Packets++
	w.report.Bytes += uint64(n)
	if w.steady.IsZero() && now.Sub(w.first) >= steadyAfter {
		w.steady, w.steadySend = now, info.SendTime
	}
}

func (w *watch) key(info asf.Packet) {
	if w.report.KeyFrames > 0 {
		if d := int64(asf.TimeDiff(info.KeyTime, w.lastKey)); d > 0 {
			w.spans += d
			w.report.KeyFrameMaxMS = max(w.report.KeyFrameMaxMS, d)
		}
	}
	w.lastKey = info.KeyTime
	w.report.KeyFrames++
}

// finish works the averages out.
func (w *watch) finish() {
	r, now := w.report, time.Now()
	if w.first.IsZero() {
		return
	}
	r.WatchedS = now.Sub(w.first).Round(time.Millisecond).Seconds()
	r.Gaps, r.MissingPackets = w.counters.Gaps, w.counters.Missing
	if w.media > 0 {
		r.MeasuredBPS = w.mediaBytes * 8 * 1000 / w.media
	}
	if r.KeyFrames > 1 {
		r.KeyFrameIntervalMS = w.spans / int64(r.KeyFrames-1)
	}
	if real := w.last.Sub(w.steady).Seconds(); !w.steady.IsZero() && real >= 1 {
		r.Pace = float64(asf.TimeDiff(w.lastSend, w.steadySend)) / 1000 / real
	}
}
