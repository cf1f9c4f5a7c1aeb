package loadtest

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// goroutines are viewers over TLS: one goroutine each, all under one lock. They are for proving that TLS works and
// what it costs, not for thousands.
type goroutines struct {
	t        *tally
	net      *network
	insecure bool
	proxy    *target

	mu      sync.Mutex
	viewers []*tlsViewer
	rate    float64
	credit  float64
	stopped bool

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

type tlsViewer struct {
	c      *client
	conn   net.Conn  // nil when there is none
	wanted next      // from outside its goroutine, goOn: nothing
	wake   chan bool // a wish, or the end
	budget float64   // bytes
}

const (
	tlsReadBuffer = 32 << 10
	tlsScan       = 100 * time.Millisecond
)

func newGoroutines(t *tally, n *network, insecure bool, proxy *target) *goroutines {
	g := &goroutines{t: t, net: n, insecure: insecure, proxy: proxy}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.wg.Go(g.scan)
	return g
}

func (g *goroutines) do(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.stopped {
		f()
	}
}

func (g *goroutines) add(c *client) {
	v := &tlsViewer{c: c, wake: make(chan bool, 1)}
	c.place = len(g.viewers)
	g.viewers = append(g.viewers, v)
	g.t.started.Add(1)
	g.wg.Go(func() { g.view(v) })
}

func (g *goroutines) each(f func(c *client)) {
	for _, v := range g.viewers {
		f(v.c)
	}
}

func (g *goroutines) churn(perSecond float64) { g.rate, g.credit = perSecond, 0 }
func (g *goroutines) tallied() *tally         { return g.t }
func (g *goroutines) effort(bool) effort      { return effort{} }

func (g *goroutines) release(c *client) {
	v := g.viewers[c.place]
	g.interrupt(v, c.leave(now()))
}

// interrupt has a viewer's goroutine do something although it is reading.
func (g *goroutines) interrupt(v *tlsViewer, do next) {
	v.wanted = do
	if v.conn != nil {
		v.conn.Close()
	}
	select {
	case v.wake <- true:
	default:
	}
}

func (g *goroutines) thaw() {
	for _, v := range g.viewers {
		if v.c.reluctant() {
			v.c.thawed = true
			select {
			case v.wake <- true:
			default:
			}
		}
	}
}

func (g *goroutines) stop() {
	g.mu.Lock()
	g.stopped = true
	for _, v := range g.viewers {
		if v.conn != nil {
			v.conn.Close()
		}
	}
	g.mu.Unlock()
	g.cancel()
	g.wg.Wait()
}

// scan looks at the viewers' clocks, as a loop does.
func (g *goroutines) scan() {
	tick := time.NewTicker(tlsScan)
	defer tick.Stop()
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-tick.C:
			g.do(func() { g.look(now()) })
		}
	}
}

func (g *goroutines) look(at int64) {
	for _, v := range g.viewers {
		if v.c.overdue(at) {
			g.interrupt(v, v.c.late(at))
		}
	}
	if g.rate <= 0 || len(g.viewers) == 0 {
		return
	}
	g.credit = min(g.credit+g.rate*tlsScan.Seconds(), float64(len(g.viewers)))
	for ; g.credit >= 1; g.credit-- {
		from := rand.IntN(len(g.viewers))
		for i := range g.viewers {
			if v := g.viewers[(from+i)%len(g.viewers)]; v.c.joined && v.c.cohort == steady {
				g.interrupt(v, v.c.churn(at))
				break
			}
		}
	}
}

// view is one viewer from its first connection to its last.
func (g *goroutines) view(v *tlsViewer) {
	g.do(func() { v.c.start(now()) })
	buf := make([]byte, tlsReadBuffer)
	for g.ctx.Err() == nil {
		g.connection(v, buf)
		if !g.pause(v) {
			return
		}
	}
}

// pause waits until the viewer connects again; false when it never does.
func (g *goroutines) pause(v *tlsViewer) bool {
	for {
		var state connState
		var wakeAt int64
		g.do(func() { state, wakeAt = v.c.state, v.c.wakeAt })
		switch {
		case state == dialing:
			return true
		case state != waiting:
			return false
		}
		select {
		case <-g.ctx.Done():
			return false
		case <-v.wake:
			continue
		case <-time.After(time.Duration(wakeAt - now())):
		}
		g.do(func() {
			if v.c.state == waiting {
				v.c.start(now())
			}
		})
	}
}

// connection dials and follows one connection until the viewer or the server ends it.
func (g *goroutines) connection(v *tlsViewer, buf []byte) {
	conn, err := g.dial(v)
	do := goOn
	g.do(func() {
		switch {
		case v.wanted != goOn: // decided while it was dialling
			do, v.wanted = v.wanted, goOn
		case err != nil:
			do = v.c.fail(now(), dialError(rootOf(err)))
		default:
			v.conn, do = conn, send
		}
	})
	if conn == nil {
		return
	}
	defer func() {
		g.do(func() { v.conn = nil })
		conn.Close()
	}()
	for g.ctx.Err() == nil {
		switch do {
		case send:
			var request []byte
			g.do(func() { request = v.c.request() })
			conn.SetWriteDeadline(time.Now().Add(resolveTimeout))
			if _, err := conn.Write(request); err != nil {
				g.do(func() { do = g.decide(v, v.c.closed(now(), err)) })
				continue
			}
		case again, drop:
			return
		}
		do = g.read(v, conn, buf)
	}
}

// decide prefers what was wished from outside over what came over the connection meanwhile.
func (g *goroutines) decide(v *tlsViewer, do next) next {
	if v.wanted != goOn {
		do, v.wanted = v.wanted, goOn
	}
	return do
}

func (g *goroutines) read(v *tlsViewer, conn net.Conn, buf []byte) (do next) {
	buf = g.allowance(v, buf)
	n, err := conn.Read(buf)
	at := now()
	g.do(func() {
		if v.wanted != goOn {
			do, v.wanted = v.wanted, goOn
			return
		}
		if n > 0 {
			do = v.c.feed(buf[:n], at)
		}
		if err != nil && (do == goOn || do == send) {
			do = v.c.closed(at, nil)
		}
		v.budget -= float64(n)
	})
	return do
}

// allowance waits while a slow viewer does not read, and cuts the buffer of a throttled one.
func (g *goroutines) allowance(v *tlsViewer, buf []byte) []byte {
	for {
		var slow bool
		var rate float64
		g.do(func() { slow, rate = v.c.reluctant(), float64(g.t.slowBPS)/8 })
		if !slow {
			return buf
		}
		if v.c.cohort == throttled {
			select {
			case <-v.wake:
			case <-g.ctx.Done():
				return buf
			case <-time.After(tlsScan):
			}
			v.budget = min(v.budget+rate*tlsScan.Seconds(), float64(len(buf)))
			if v.budget >= 1 {
				return buf[:int(v.budget)]
			}
			continue
		}
		select {
		case <-v.wake:
			return buf
		case <-g.ctx.Done():
			return buf
		}
	}
}

// dial connects, through the proxy's CONNECT when there is one, and shakes hands.
func (g *goroutines) dial(v *tlsViewer) (net.Conn, error) {
	var to *target
	var slow bool
	g.do(func() { to, slow = v.c.at, v.c.cohort != steady })
	if to == nil {
		return nil, net.ErrClosed
	}
	d := net.Dialer{Timeout: resolveTimeout}
	if from := g.net.from; from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	address := to.address()
	if g.proxy != nil {
		address = g.proxy.address()
	}
	conn, err := d.DialContext(g.ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok && slow {
		_ = tcp.SetReadBuffer(slowReceive)
	}
	conn.SetDeadline(time.Now().Add(resolveTimeout))
	if g.proxy != nil {
		if err := connectThrough(conn, to.address()); err != nil {
			conn.Close()
			return nil, err
		}
	}
	if !to.tls {
		conn.SetDeadline(time.Time{})
		return conn, nil
	}
	secure := tls.Client(conn, &tls.Config{ServerName: to.host, InsecureSkipVerify: g.insecure})
	if err := secure.HandshakeContext(g.ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("TLS: %w", err)
	}
	conn.SetDeadline(time.Time{})
	return secure, nil
}

// connectThrough asks a proxy for a tunnel.
func connectThrough(conn net.Conn, address string) error {
	if _, err := fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", address, address); err != nil {
		return err
	}
	// A byte at a time: what follows the answer belongs to TLS.
	resp, err := http.ReadResponse(bufio.NewReaderSize(oneByte{conn}, 16), &http.Request{Method: http.MethodConnect})
	if err != nil {
		return fmt.Errorf("the proxy's answer: %w", err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the proxy answered %d", resp.StatusCode)
	}
	return nil
}

type oneByte struct{ conn net.Conn }

func (o oneByte) Read(b []byte) (int, error) { return o.conn.Read(b[:min(len(b), 1)]) }

// rootOf leaves out of a dialling error what differs from viewer to viewer: addresses.
func rootOf(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
