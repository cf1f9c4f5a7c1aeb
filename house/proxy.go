package house

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/stream-pump/stream-pump/access"
)

// proxyListener reads the PROXY header that connections of trusted proxies begin with, and
// gives them the address that it tells. It is read before the connection is passed on, for
// the server asks who it is at once; each on a goroutine, so that a slow one holds up nobody.
type proxyListener struct {
	net.Listener
	trusts func(netip.Addr) bool
	ready  chan net.Conn
	slots  chan struct{}
	closed chan struct{}
	end    sync.Once
	failed error // why accepting ended; read after closed
	done   sync.WaitGroup
}

const (
	proxyWithin = 5 * time.Second
	maxGreeting = 256 // connections whose header is awaited
)

func newProxyListener(ln net.Listener, trusts func(netip.Addr) bool) *proxyListener {
	p := &proxyListener{Listener: ln, trusts: trusts, ready: make(chan net.Conn), slots: make(chan struct{}, maxGreeting), closed: make(chan struct{})}
	p.done.Go(p.accept)
	return p
}

func (p *proxyListener) accept() {
	for {
		c, err := p.Listener.Accept()
		if err != nil {
			p.stop(err)
			return
		}
		select {
		case p.slots <- struct{}{}:
		case <-p.closed:
			_ = c.Close()
			return
		}
		p.done.Go(func() {
			defer func() { <-p.slots }()
			c, err := p.greet(c)
			if err != nil {
				return
			}
			select {
			case p.ready <- c:
			case <-p.closed:
				_ = c.Close()
			}
		})
	}
}

// Accept returns the next connection whose client is known.
func (p *proxyListener) Accept() (net.Conn, error) {
	select {
	case c := <-p.ready:
		return c, nil
	case <-p.closed:
		return nil, p.failed
	}
}

// Close ends accepting, and waits for what it has begun.
func (p *proxyListener) Close() error {
	err := p.Listener.Close()
	p.stop(net.ErrClosed)
	p.done.Wait()
	return err
}

func (p *proxyListener) stop(err error) {
	p.end.Do(func() {
		p.failed = err
		close(p.closed)
	})
}

var errNoHeader = errors.New("a trusted proxy sent no PROXY header")

// greet reads the header of a trusted proxy's connection; others are passed on as they are.
func (p *proxyListener) greet(c net.Conn) (net.Conn, error) {
	from, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil || !p.trusts(from.Addr().Unmap()) {
		return c, nil
	}
	_ = c.SetReadDeadline(time.Now().Add(proxyWithin))
	head := make([]byte, 0, access.MaxProxyHeader)
	for {
		n, err := c.Read(head[len(head):cap(head)])
		head = head[:len(head)+n]
		client, length, parseErr := netip.AddrPort{}, 0, error(nil)
		if access.SniffProxyHeader(head) != access.SniffProxy {
			parseErr = errNoHeader
		} else {
			client, length, parseErr = access.ParseProxyHeader(head)
		}
		switch {
		case parseErr != nil || err != nil && length == 0:
			_ = c.Close()
			return nil, errors.Join(parseErr, err)
		case length == 0 && len(head) < cap(head):
			continue
		case length == 0:
			_ = c.Close()
			return nil, errNoHeader
		}
		_ = c.SetReadDeadline(time.Time{})
		return &proxied{Conn: c, client: client, rest: head[length:]}, nil
	}
}

// proxied is a connection that came by way of a proxy.
type proxied struct {
	net.Conn
	client netip.AddrPort // invalid: the proxy speaks for itself
	rest   []byte         // read already
}

func (c *proxied) Read(b []byte) (int, error) {
	if len(c.rest) > 0 {
		n := copy(b, c.rest)
		c.rest = c.rest[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}

func (c *proxied) RemoteAddr() net.Addr {
	if !c.client.IsValid() {
		return c.Conn.RemoteAddr()
	}
	return net.TCPAddrFromAddrPort(c.client)
}

// Bare returns the connection itself once what was read ahead of it is used up.
func (c *proxied) Bare() net.Conn {
	if len(c.rest) > 0 {
		return c
	}
	return c.Conn
}
