package hook

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// job is an event on its way.
type job struct {
	event Event
	since time.Time
}

var errQueueFull = fmt.Errorf("%d events wait already", maxQueue)

// Tell sends an event when its turn comes. It does not wait.
func (c *Client) Tell(e Event) {
	if !c.Asks(e.Action) {
		return
	}
	c.mu.Lock()
	full := c.closed || len(c.queue) >= maxQueue
	if !full {
		c.queue = append(c.queue, job{e, c.opts.Now()})
		if c.working < tellers {
			c.working++
			c.done.Go(c.work)
		}
	}
	c.mu.Unlock()
	if full {
		c.drop(e, errQueueFull)
	}
}

func (c *Client) drop(e Event, err error) {
	c.counters.count(e.Action, "dropped")
	c.note(e.Action, "an event for the access hook was dropped", err)
}

// work tells events until there are none.
func (c *Client) work() {
	for {
		j, ok := c.next()
		if !ok {
			return
		}
		if err := c.deliver(j); err != nil {
			c.drop(j.event, err)
		}
	}
}

func (c *Client) next() (job, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		c.working--
		c.queue = nil
		return job{}, false
	}
	j := c.queue[0]
	c.queue = c.queue[1:]
	return j, true
}

// deliver sends an event until it is taken, for a minute; once when the client is closing.
func (c *Client) deliver(j job) error {
	for wait := c.opts.RetryFirst; ; wait *= 2 {
		a, secret := c.action(j.event.Action)
		if a.URL == "" {
			return errors.New("the hook is not configured any more")
		}
		status, err := c.post(c.ctx, a, secret, j.event)
		if err == nil && status < http.StatusInternalServerError {
			c.counters.count(j.event.Action, "told")
			return nil
		}
		if err == nil {
			err = fmt.Errorf("the answer is %d %s", status, http.StatusText(status))
		}
		c.counters.count(j.event.Action, "failed")
		if c.opts.Now().Sub(j.since)+wait > tellFor || !c.sleep(wait) {
			return err
		}
	}
}

// sleep waits and tells whether the client goes on.
func (c *Client) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.stopping:
		return false
	}
}
