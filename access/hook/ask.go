package hook

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/stream-pump/stream-pump/access"
)

// Errors that visitors are told.
var (
	errRefused = errors.New("refused by the operator's access rules")
	errNoReply = errors.New("access cannot be checked now, try again later")
)

// failedWait is what who is sent away for want of an answer is told to wait.
const failedWait = 5 * time.Second

// Ask asks whether what the event says may be, and returns the session that it is then
// part of. It waits at most for the action's time-out, and until ctx is done: never call
// it on an event loop.
//
// final tells that it is about to be. Else the answer is only wanted beforehand; it is kept
// for the final question, so that the program is asked once.
func (c *Client) Ask(ctx context.Context, e Event, final bool) (session string, denial *access.Denial) {
	if c == nil {
		return "", nil
	}
	a, secret := c.action(e.Action)
	if a.URL == "" {
		return "", nil
	}
	key := c.cache.key(e)
	if v, known := c.cache.take(key, final); known {
		return v.session, v.denial()
	}
	e.Session = rand.Text()
	right, err := c.ask(ctx, a, secret, e)
	if err != nil {
		return e.Session, c.failed(ctx, a, e, err)
	}
	v := verdict{session: e.Session, allowed: right}
	if !right || !final {
		c.cache.keep(key, v, a.Cache)
	}
	return v.session, v.denial()
}

// verdict is what the program said.
type verdict struct {
	session string
	allowed bool
}

func (v verdict) denial() *access.Denial {
	if v.allowed {
		return nil
	}
	return &access.Denial{Reason: access.RefusedHook, Err: errRefused}
}

// ask asks the program, unless that is known to be in vain.
func (c *Client) ask(ctx context.Context, a Action, secret string, e Event) (bool, error) {
	b := c.breakers[e.Action]
	switch {
	case c.ctx.Err() != nil:
		return false, errClosed
	case !b.closed():
		return false, errTripped
	}
	select {
	case c.asking <- struct{}{}:
		defer func() { <-c.asking }()
	default:
		return false, fmt.Errorf("%d are waiting for an answer already", maxAsking)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(c.ctx, cancel)
	defer stop()
	status, err := c.post(ctx, a, secret, e)
	switch {
	case ctx.Err() != nil: // the visitor has left, or the pump stops: nothing is known of the program
		return false, context.Cause(ctx)
	case err == nil && (status < 200 || status >= 300 && status < 400 || status >= 500):
		err = fmt.Errorf("the answer is %d %s; 2xx lets in, 4xx does not", status, http.StatusText(status))
	}
	if err != nil {
		if b.failed() {
			c.note(e.Action, "the access hook fails and is not asked for a while", err)
		}
		return false, err
	}
	b.succeeded()
	c.counters.count(e.Action, map[bool]string{true: "allowed", false: "refused"}[status < 300])
	return status < 300, nil
}

// failed decides where there is no answer.
func (c *Client) failed(ctx context.Context, a Action, e Event, err error) *access.Denial {
	if ctx.Err() != nil {
		return &access.Denial{Reason: access.RefusedBusy, Err: errNoReply, Wait: failedWait}
	}
	c.counters.count(e.Action, "failed")
	if !errors.Is(err, errTripped) {
		c.note(e.Action, "the access hook does not answer", err)
	}
	if a.FailOpen {
		return nil
	}
	return &access.Denial{Reason: access.RefusedHookFailed, Err: errNoReply, Wait: failedWait}
}
