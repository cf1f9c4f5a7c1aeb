package tool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/mmsh"
)

// PushOptions describe a push. File and URL are required.
type PushOptions struct {
	File     string
	URL      string // may hold user and password
	Loop     bool   // play the file for ever, with times that go on
	Retry    bool   // connect again when the server is lost, for ever
	Insecure bool   // accept any certificate
	Progress func(PushReport)
	Log      *slog.Logger // nil discards

	bodyLength int64         // of a PushStart, in bytes; default what encoders promise
	backoff    time.Duration // first pause before a retry; default 1 s
}

// PushReport is how far a push has come.
type PushReport struct {
	File       string  `json:"file"`
	URL        string  `json:"url"` // without secrets
	DurationS  float64 `json:"duration_s"`
	Packets    uint64  `json:"packets"`
	Bytes      uint64  `json:"bytes"` // of packets
	BitrateBPS int64   `json:"bitrate_bps"`
	Rounds     int     `json:"rounds"` // times the file was begun
	Reconnects int     `json:"reconnects"`
	Ended      bool    `json:"ended"` // the server was told that the stream is over
}

const (
	connectTime  = 10 * time.Second
	answerTime   = 10 * time.Second
	writeTime    = 30 * time.Second // a server that takes no byte for so long is lost
	maxLate      = 5 * time.Second  // later than that, the clock is set back instead of catching up
	backoffMax   = 30 * time.Second
	progressStep = time.Second
)

// Push is a live encoder: it sends a file in real time until its end, or with Loop until
// ctx is done; both end the stream in order. The error says why a push failed; with Retry
// only what no repetition can mend is an error.
func Push(ctx context.Context, o PushOptions) (PushReport, error) {
	a, err := parseAddress(o.URL)
	if err != nil {
		return PushReport{}, err
	}
	f, err := openFilm(o.File)
	if err != nil {
		return PushReport{}, err
	}
	defer f.close()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.bodyLength == 0 {
		o.bodyLength = mmsh.PushBodyLength
	}
	if o.backoff == 0 {
		o.backoff = time.Second
	}
	p := &pusher{opts: o, to: a, film: f, began: time.Now()}
	p.report = PushReport{File: f.name, URL: a.String()}
	err = p.run(ctx)
	return p.snapshot(), err
}

// pusher is one push, over as many connections as it takes. It belongs to one goroutine.
type pusher struct {
	opts   PushOptions
	to     address
	film   *film
	report PushReport
	began  time.Time
	shown  time.Time // of the last progress

	clock time.Time // when the first packet of the first round was due
	round uint64
	next  int64 // packet
}

func (p *pusher) run(ctx context.Context) error {
	pause := p.opts.backoff
	for {
		before := p.report.Packets
		err := p.session(ctx)
		switch {
		case err == nil || ctx.Err() != nil:
			return nil
		case !p.opts.Retry || !mendable(err):
			return err
		}
		if p.report.Packets > before {
			pause = p.opts.backoff
		}
		p.opts.Log.Warn("push lost, trying again", slog.Any("error", err), slog.String("after", pause.String()))
		if !sleep(ctx, pause/2+rand.N(pause/2+1)) { // #nosec G404 -- no secret
			return nil
		}
		pause = min(2*pause, backoffMax)
		p.report.Reconnects++
		p.resetClock()
	}
}

// mendable tells whether trying again may help.
func mendable(err error) bool {
	var refusal *StatusError
	if errors.As(err, &refusal) {
		return refusal.Status >= 500 || refusal.Status == 408 || refusal.Status == 409
	}
	return !errors.Is(err, ErrNotPlayable)
}

// session pushes over one connection until the film or the connection ends. A nil error
// means that the stream was ended in order.
func (p *pusher) session(ctx context.Context) error {
	c, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	if p.clock.IsZero() {
		p.clock = time.Now()
	}
	if err := c.header(p.film.header); err != nil {
		return err
	}
	if err := p.play(ctx, c); err != nil {
		return err
	}
	p.report.Ended = true
	return c.end()
}

// play sends packets as they become due, from where it stopped before.
func (p *pusher) play(ctx context.Context, c *pushConn) error {
	buf := make([]byte, p.film.size)
	for ctx.Err() == nil {
		if p.next == p.film.packets {
			if !p.opts.Loop {
				return nil
			}
			p.next, p.round = 0, p.round+1
		}
		packet, due, err := p.prepare(buf)
		if err != nil {
			return err
		}
		if err := c.await(ctx, due); err != nil {
			if ctx.Err() != nil {
				return nil // asked to end: in order
			}
			return err
		}
		if err := c.packet(packet); err != nil {
			return err
		}
		p.count(len(packet))
	}
	return nil
}

// prepare reads the next packet, moves its times by the rounds before, and tells when it
// is due.
func (p *pusher) prepare(buf []byte) (packet []byte, due time.Time, err error) {
	packet, err = p.film.packet(p.next, buf)
	if err != nil {
		return nil, due, fmt.Errorf("%s: %w: %w", p.film.name, ErrNotPlayable, err)
	}
	send, err := asf.SendTime(packet)
	if err == nil && p.round > 0 {
		err = asf.Rebase(packet, p.film.size, uint32(p.round*uint64(p.film.length)))
	}
	if err != nil {
		return nil, due, fmt.Errorf("%s, packet %d: %w: %w", p.film.name, p.next, ErrNotPlayable, err)
	}
	due = p.clock.Add(p.offset(send))
	if late := time.Since(due); late > maxLate {
		p.clock, due = p.clock.Add(late), due.Add(late)
	}
	return packet, due, nil
}

// offset is when a packet of the present round is due after the first of all.
func (p *pusher) offset(send uint32) time.Duration {
	ms := int64(p.round)*int64(p.film.length) + int64(asf.TimeDiff(send, p.film.first))
	return time.Duration(ms) * time.Millisecond
}

// resetClock makes the next packet due now.
func (p *pusher) resetClock() {
	if p.clock.IsZero() || p.next == p.film.packets {
		return
	}
	if send, err := p.film.sendTime(p.next, make([]byte, p.film.size)); err == nil {
		p.clock = time.Now().Add(-p.offset(send))
	}
}

func (p *pusher) count(n int) {
	p.next++
	p.report.Packets++
	p.report.Bytes += uint64(n)
	if p.opts.Progress != nil && time.Since(p.shown) >= progressStep {
		p.shown = time.Now()
		p.opts.Progress(p.snapshot())
	}
}

func (p *pusher) snapshot() PushReport {
	r, took := p.report, time.Since(p.began)
	r.DurationS = took.Round(time.Millisecond).Seconds()
	r.BitrateBPS = int64(float64(r.Bytes*8) / max(took.Seconds(), 0.001))
	if r.Packets > 0 {
		r.Rounds = int(p.round) + 1
	}
	return r
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
