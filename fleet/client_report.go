package fleet

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"
)

// telling is how far a session has come with what the house wants to know.
type telling struct {
	parts []Snapshot // still to be sent
	after int64      // what they are the state after
	asked time.Time  // when a list was begun
}

// Times between two of the same.
const (
	looksEvery = time.Second // at the viewers' health
	listsEvery = time.Second // lists of all viewers: a house that asks for ever does not get one for ever
)

// least is the time between two batches with joins and leaves; answers do not wait.
const least = 200 * time.Millisecond

// report sends batches: regularly, and when there is news.
func (c *Client) report(ctx context.Context, s *session, _ *line) error {
	tick := time.NewTicker(time.Duration(s.welcome.TelemetryMS) * time.Millisecond)
	defer tick.Stop()
	t := &telling{}
	var looked time.Time
	for {
		sent := time.Now()
		if sent.Sub(looked) >= looksEvery {
			c.opts.Journal.Standing(c.opts.Side.Standings(ctx, []string{}))
			looked = sent
		}
		more, err := c.tell(ctx, s, t)
		if err != nil {
			return err
		}
		if more {
			continue
		}
		if err := c.idle(ctx, tick, sent); err != nil {
			return nil //nolint:nilerr // the session is over
		}
	}
}

// idle waits until there is something to tell.
func (c *Client) idle(ctx context.Context, tick *time.Ticker, sent time.Time) error {
	var gap <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			return nil
		case <-gap:
			return nil
		case <-c.opts.Journal.wake:
		}
		wait := least - time.Since(sent)
		if wait <= 0 || c.opts.Journal.urgent() {
			return nil
		}
		if gap == nil {
			gap = time.After(wait)
		}
	}
}

// tell sends one batch and takes the receipt. more says that there is more to send.
func (c *Client) tell(ctx context.Context, s *session, t *telling) (more bool, err error) {
	state := c.state()
	b := Batch{Pump: c.opts.Pump, Boot: c.boot, Number: c.number.Add(1), State: &state}
	if len(t.parts) > 0 {
		b.Snapshot = &t.parts[0]
		b.First, b.Lost = c.opts.Journal.next()
	} else {
		b.First, b.Events, b.Lost, more = c.opts.Journal.oldest()
	}
	if b.Snapshot != nil && b.First <= t.after {
		b.Snapshot, t.parts = nil, nil // cannot be: events come after what was told
	}
	var r Receipt
	err = c.call(ctx, s.at+PathTelemetry, again(bearer(s.welcome.Session)), &b, &r)
	var e *Error
	switch {
	case errors.As(err, &e) && e.Permanent():
		c.repeats.Log(slog.LevelError, "telemetry", "the house does not take what this pump tells; that part is dropped", slog.Int("events", len(b.Events)), slog.Any("error", err))
		c.opts.Journal.refuse(b.First, len(b.Events))
		t.parts = nil
		return more, nil
	case err != nil:
		return false, err
	}
	further := c.receive(ctx, &b, &r, t)
	if next, _ := c.opts.Journal.next(); next == b.First {
		more = false // the house did not take them; not at once again
	}
	return further || more, nil
}

// receive takes a receipt, and tells whether there is more to send at once.
func (c *Client) receive(ctx context.Context, b *Batch, r *Receipt, t *telling) (more bool) {
	if r.Boot != c.boot {
		return false
	}
	c.opts.Journal.ack(r.Acked)
	if b.Snapshot != nil {
		t.parts = t.parts[1:]
	}
	if now := time.Now(); r.Snapshot && now.Sub(t.asked) >= listsEvery {
		t.asked = now
		t.parts = c.opts.Journal.snapshot(c.opts.Side.Standings(ctx, nil))
		t.after = t.parts[0].After
	}
	return len(t.parts) > 0
}

// state is the pump's report, with what the client knows.
func (c *Client) state() State {
	st := c.opts.Side.Report()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, text := range c.faults {
		st.Faults = append(st.Faults, Shorten(text))
	}
	slices.Sort(st.Faults)
	st.Faults = st.Faults[:min(len(st.Faults), maxFaults)]
	return st
}
