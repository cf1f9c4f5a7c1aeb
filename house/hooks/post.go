package hooks

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stream-pump/stream-pump/house/live"
	"github.com/stream-pump/stream-pump/telemetry"
)

// post carries events to one hook, one delivery after the other.
type post struct {
	sender *Sender
	hook   Hook
	events *live.Subscription
	stop   context.CancelFunc
	done   sync.WaitGroup

	kept  atomic.Int64  // events that were taken out of the queue and are not sent yet
	known atomic.Uint64 // of events.Lost: counted already

	lost int64 // events since the last delivery that came through; run's
}

func (p *post) close() {
	p.stop()
	p.done.Wait()
	p.events.Close()
}

// run sends what happens until ctx is done.
func (p *post) run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var waiting []live.Happening
	for {
		select {
		case <-ctx.Done():
			return
		case h := <-p.events.C:
			waiting = append(waiting, h)
		case <-tick.C:
		}
		waiting = p.more(waiting)
		p.kept.Store(int64(len(waiting)))
		for len(waiting) > 0 && p.sender.opts.Leads() && ctx.Err() == nil {
			n := min(len(waiting), perPost)
			p.deliver(ctx, waiting[:n])
			waiting = p.more(slices.Delete(waiting, 0, n))
			p.kept.Store(int64(len(waiting)))
		}
		waiting = forget(waiting, time.Now().Add(-heldBack))
		p.kept.Store(int64(len(waiting)))
	}
}

// more adds what is there already, up to what one delivery holds.
func (p *post) more(waiting []live.Happening) []live.Happening {
	for len(waiting) < perPost {
		select {
		case h := <-p.events.C:
			waiting = append(waiting, h)
		default:
			return waiting
		}
	}
	return waiting
}

// forget drops what another house has told long ago.
func forget(waiting []live.Happening, before time.Time) []live.Happening {
	i := slices.IndexFunc(waiting, func(h live.Happening) bool { return h.Time.After(before) })
	if i < 0 {
		return waiting[:0]
	}
	return slices.Delete(waiting, 0, i)
}

// deliver sends events until they are taken, refused, or were tried often enough.
func (p *post) deliver(ctx context.Context, list []live.Happening) {
	s := p.sender
	if all := p.events.Lost(); all != p.known.Load() {
		more := int64(all - p.known.Load()) //nolint:gosec // far below
		p.known.Store(all)
		p.lost += more
		s.counts.lost.Add(more)
		s.opts.Log.Warn("a webhook is too slow: events were dropped", p.name(), slog.Int64("events", more))
	}
	id := rand.Text()
	body, err := json.Marshal(delivery(id, s.opts.House, p.lost, list))
	if err != nil {
		s.opts.Log.Error("events cannot be written down", p.name(), slog.Any("error", err))
		return
	}
	pause := s.opts.Backoff
	for attempt := 1; ; attempt++ {
		wait, err := p.attempt(ctx, id, body)
		if err == nil {
			s.counts.sent.Add(int64(len(list)))
			p.lost = 0
			return
		}
		if ctx.Err() != nil {
			return
		}
		s.counts.failed.Add(1)
		if attempt == attempts || errors.Is(err, errRefused) {
			p.lost += int64(len(list))
			s.counts.lost.Add(int64(len(list)))
			s.opts.Log.Warn("a webhook was not told", p.name(), slog.Int("events", len(list)), slog.Int("attempts", attempt), slog.Any("error", err))
			return
		}
		s.opts.Log.Debug("a webhook cannot be told now", p.name(), slog.Any("error", err))
		wait = max(wait, pause/2+mathrand.N(pause/2+1)) // #nosec G404 -- no secret
		pause = min(pause*2, maxPause)
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(wait, maxPause)):
		}
	}
}

// name is the hook in logs: its path and query may hold secrets.
func (p *post) name() slog.Attr {
	u, err := url.Parse(p.hook.URL)
	if err != nil {
		return slog.String("webhook", "?")
	}
	return slog.String("webhook", u.Host)
}

var errRefused = errors.New("it was refused")

// Bounds of an answer; its time is that of the attempt.
const (
	maxAnswer     = 4 << 10  // of the body, which says nothing to us
	maxAnswerHead = 16 << 10 // it is refused beyond
)

// newClient makes one that goes where it is told to, and nowhere else.
func newClient() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxResponseHeaderBytes = maxAnswerHead
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// attempt posts once. wait is how long the hook wants to be left alone.
func (p *post) attempt(ctx context.Context, id string, body []byte) (wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.sender.opts.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.hook.URL, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("%w: the address is none", errRefused)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "pump-house")
	r.Header.Set(HeaderDelivery, id)
	if p.hook.Secret != "" {
		r.Header.Set(HeaderSignature, Sign(p.hook.Secret, time.Now(), body))
	}
	a, err := p.sender.opts.Client.Do(r)
	if err != nil {
		return 0, telemetry.ReplyError(err)
	}
	defer a.Body.Close()
	_, _ = io.CopyN(io.Discard, a.Body, maxAnswer) // the connection can be used again
	switch {
	case a.StatusCode/100 == 2:
		return 0, nil
	case a.StatusCode/100 == 5, a.StatusCode == http.StatusTooManyRequests, a.StatusCode == http.StatusRequestTimeout, a.StatusCode == http.StatusTooEarly:
		if n, err := strconv.Atoi(a.Header.Get("Retry-After")); err == nil && n > 0 {
			wait = time.Duration(min(n, 3600)) * time.Second
		}
		return wait, fmt.Errorf("answer %d", a.StatusCode)
	}
	return 0, fmt.Errorf("%w: answer %d", errRefused, a.StatusCode)
}
