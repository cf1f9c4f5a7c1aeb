package loadtest

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/stream-pump/stream-pump/mmsh"
)

// cohort is how a viewer behaves once it has joined.
type cohort uint8

const (
	steady    cohort = iota
	stopped          // stops reading
	throttled        // reads slowly
)

// step is what a viewer asks for on its way.
type step uint8

const (
	stepDescribe step = iota
	stepKeepAlive
	stepPlay
	stepLog // after the end
)

// phase of one connection.
type connState uint8

const (
	off       connState = iota // not connected, nothing planned
	dialing                    // connect was called, or the address is looked up
	awaiting                   // request sent, reply's head not complete
	swallow                    // body of a reply that is not the stream
	streaming                  // body of the stream
	waiting                    // comes back at wakeAt
	finished                   // never comes back
)

// next is what a transport has to do after it handed something to a viewer.
type next uint8

const (
	goOn  next = iota // read on
	send              // write request() on this connection
	again             // close, connect to c.at, write request()
	drop              // close: the viewer is through, or waits until wakeAt
)

const (
	maxRedirects  = 5
	maxReplyHead  = mmsh.MaxRequestHead
	maxSwallow    = 1 << 20 // bytes of a body that is of no interest
	backMin       = 500 * time.Millisecond
	backSpan      = time.Second
	churnBackTime = 200 * time.Millisecond
)

// client is one viewer: it says what to send and judges what comes. It does no I/O and belongs to the goroutine of its
// tally.
type client struct {
	reader reader
	how    *manner
	t      *tally
	home   *target
	at     *target

	cohort    cohort
	place     int // in its crew
	step      step
	state     connState
	leaving   bool // goes for good after what it does now
	ever      bool // has joined once
	joined    bool // on this connection
	keep      bool // the server keeps this connection for another request
	moved     bool // was redirected
	gaveUp    bool
	back      bool // comes back after an end it did not want
	thawed    bool // a slow viewer that reads again, at the end
	redirects uint8

	session    uint32
	hasSession bool

	head    []byte // beginning of a reply that came in pieces
	text    []byte // playlist
	list    bool   // the body is a playlist
	pending int64  // bytes of the body to pass over, -1 until it ends

	opened   int64 // ns
	lastData int64
	wakeAt   int64 // ns
	stalls   uint32
	longest  int64 // ns
}

// manner is what all viewers of a run have in common.
type manner struct {
	id        string
	plain     bool
	wmp       bool
	reconnect bool
	proxy     bool // plain HTTP goes through a proxy
	first     step
	timeout   int64 // ns until the first key frame
}

func newManner(o Options) *manner {
	m := &manner{id: o.ID, plain: o.Plain, wmp: o.WMP, reconnect: o.Reconnect, proxy: o.Proxy != "",
		first: stepPlay, timeout: int64(o.JoinTimeout)}
	if m.wmp {
		m.first = stepDescribe
	}
	return m
}

func newClient(n int, home *target, how *manner, t *tally, kind cohort) *client {
	return &client{how: how, t: t, home: home, at: home, cohort: kind, state: off,
		reader: reader{t: t, target: int32(home.index), client: int32(n), quiet: kind != steady}}
}

func (c *client) name() string { return c.how.id + strconv.Itoa(int(c.reader.client)) }

// open begins a connection at the time at; the transport connects to c.at and writes request().
func (c *client) open(at int64, from step) {
	c.state, c.step, c.opened, c.lastData = dialing, from, at, at
	c.joined, c.keep, c.list = false, false, false
	c.head, c.text = c.head[:0], nil
	c.reader.reset(framedBody, at)
}

// reluctant says whether the viewer does not read what comes, or slowly.
func (c *client) reluctant() bool { return c.cohort != steady && c.joined && !c.thawed }

// streamsOn says whether all that the viewer does is take what comes.
func (c *client) streamsOn() bool { return c.state == streaming && c.joined && c.cohort == steady }

// start is open for a viewer that comes for the first time or again.
func (c *client) start(at int64) {
	c.at, c.redirects, c.moved, c.leaving, c.hasSession = c.home, 0, false, false, false
	c.open(at, c.how.first)
}

// feed takes what came over the connection at the time at.
func (c *client) feed(b []byte, at int64) next {
	c.t.bytes.Add(uint64(len(b)))
	for {
		switch c.state {
		case streaming:
			return c.stream(b, at)
		case swallow:
			return c.pass(b, at)
		case awaiting:
		default:
			return drop
		}
		n, whole := c.takeHead(b)
		b = b[n:]
		if !whole {
			if len(c.head) > maxReplyHead {
				return c.fail(at, "a reply without end of its head")
			}
			return goOn
		}
		do := c.reply(at)
		c.head = nil
		if do != goOn || len(b) == 0 && c.pending != 0 {
			return do
		}
	}
}

// takeHead moves the reply's head to c.head, up to and with the empty line.
func (c *client) takeHead(b []byte) (n int, whole bool) {
	have := len(c.head)
	n = min(len(b), maxReplyHead+1-have)
	if end := bytes.Index(b[:n], []byte("\r\n\r\n")); end >= 0 { // do not take the stream for a head
		n = min(n, end+4)
	}
	c.head = append(c.head, b[:n]...)
	end := bytes.Index(c.head[max(0, have-3):], []byte("\r\n\r\n"))
	if end < 0 {
		return n, false
	}
	end += max(0, have-3) + 4
	n -= len(c.head) - end
	c.head = c.head[:end]
	return n, true
}

// stream takes a piece of the stream itself.
func (c *client) stream(b []byte, at int64) next {
	if quiet := at - c.lastData; quiet > c.t.stall && c.joined {
		c.stalled(quiet)
	}
	c.lastData = at
	if len(b) == 0 {
		return goOn
	}
	if c.reader.fresh() {
		switch b[0] {
		case 0x30:
			c.reader.kind = plainBody
		case '<', '[', 0xEF:
			c.state, c.list = swallow, true
			return c.pass(b, at)
		}
	}
	err := c.reader.feed(b, at)
	if c.reader.newKey {
		c.reader.newKey = false
		c.join(at)
	}
	switch {
	case err != nil:
		return c.over(at, "the stream could not be followed: "+err.Error())
	case c.reader.ended:
		c.t.ended.Add(1)
		return c.over(at, "the stream ended before its first key frame")
	}
	return goOn
}

func (c *client) stalled(quiet int64) {
	if at := c.lastData; c.cohort == steady && at >= c.t.from && at < c.t.to {
		c.stalls++
		c.longest = max(c.longest, quiet)
	}
}

func (c *client) join(at int64) {
	if c.joined {
		return
	}
	c.joined = true
	c.t.joins.Add(1)
	c.t.alive.Add(1)
	if c.ever && c.back {
		c.t.rejoined.Add(1)
	}
	c.back = false
	if !c.ever {
		c.ever = true
		c.t.joined.Add(1)
		if c.gaveUp { // a later try of a viewer that had failed
			c.gaveUp = false
			c.t.failed.Add(-1)
		}
	}
	us := (at - c.opened) / int64(time.Microsecond)
	record(c.t.join, us)
	record(c.t.phase, us)
}

// left takes back what join counted.
func (c *client) left() {
	if c.joined {
		c.joined = false
		c.t.alive.Add(-1)
	}
}

// over ends a connection to the stream that the viewer did not want to end.
func (c *client) over(at int64, why string) next {
	was := c.joined
	c.left()
	if !was && !c.ever {
		return c.fail(at, why)
	}
	return c.comeBack(at)
}

// comeBack waits a little for the next try, or ends the viewer.
func (c *client) comeBack(at int64) next {
	c.left()
	if !c.how.reconnect || c.leaving {
		c.state = finished
		return drop
	}
	c.state, c.back = waiting, true
	c.wakeAt = at + int64(backMin) + jitter(c.reader.client, at, int64(backSpan))
	return drop
}

// jitter spreads viewers that lost the same server.
func jitter(n int32, at, span int64) int64 {
	x := uint64(n)*0x9E3779B97F4A7C15 ^ uint64(at)*0xD1B54A32D192ED03
	return int64((x ^ x>>29) % uint64(span))
}

// fail ends a try; why is the same for all that fail alike.
func (c *client) fail(at int64, why string) next {
	c.left()
	c.t.failure(why)
	if !c.ever && !c.gaveUp {
		c.gaveUp = true
		c.t.failed.Add(1)
	}
	return c.comeBack(at)
}

// closed is the end of the connection by the peer; err is nil at a regular end.
func (c *client) closed(at int64, err error) next {
	c.keep = false
	switch c.state {
	case streaming:
		c.t.ended.Add(1)
		if c.cohort != steady {
			c.t.slowEnded.Add(1)
			c.left()
			c.state = finished
			return drop
		}
		if c.reader.torn() {
			c.reader.fault(nil, "torn", "the connection ended inside a packet")
		}
		return c.over(at, "the connection ended before the first key frame")
	case swallow:
		if c.pending < 0 {
			return c.answered(at)
		}
	}
	if c.step == stepLog {
		c.state = finished
		return drop
	}
	switch {
	case err != nil:
		return c.fail(at, err.Error())
	case len(c.head) > 0:
		return c.fail(at, notHTTP)
	}
	return c.fail(at, "the connection ended before an answer")
}

// leave is the viewer's own wish to go. Windows players post a log then, on a connection of its own.
func (c *client) leave(at int64) next {
	was := c.joined
	c.left()
	c.leaving = true
	if c.how.wmp && was && c.hasSession {
		c.open(at, stepLog)
		return again
	}
	c.state = finished
	return drop
}

// churn leaves and comes back a moment later.
func (c *client) churn(at int64) next {
	c.left()
	c.t.churned.Add(1)
	c.state, c.wakeAt = waiting, at+int64(churnBackTime)
	return drop
}

// returning says whether the viewer watched before and is about to again.
func (c *client) returning() bool {
	return c.ever && !c.joined && !c.leaving && c.state != finished && c.state != off
}

// overdue says whether the viewer has waited too long for what it asked for.
func (c *client) overdue(at int64) bool {
	switch c.state {
	case dialing, awaiting, swallow:
		return at-c.opened > c.how.timeout
	case streaming:
		return !c.joined && at-c.opened > c.how.timeout
	}
	return false
}

// late ends a try that took too long.
func (c *client) late(at int64) next {
	if c.step == stepLog {
		c.state = finished
		return drop
	}
	what := map[connState]string{dialing: "no connection", awaiting: "no answer", swallow: "no end of a reply",
		streaming: "no key frame"}[c.state]
	return c.fail(at, fmt.Sprintf("%s within %v", what, time.Duration(c.how.timeout)))
}
