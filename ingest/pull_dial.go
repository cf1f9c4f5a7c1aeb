package ingest

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"crypto/rand"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/mmsh"
)

// timedConn gives each read a deadline: a source that says nothing for so long is lost.
type timedConn struct {
	net.Conn
	wait atomic.Int64 // ns
}

// Read implements net.Conn.
func (c *timedConn) Read(p []byte) (int, error) {
	if err := c.Conn.SetReadDeadline(time.Now().Add(c.waits())); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *timedConn) waits() time.Duration     { return time.Duration(c.wait.Load()) }
func (c *timedConn) patience(d time.Duration) { c.wait.Store(int64(d)) }
func (c *timedConn) send(b []byte, to net.Conn) error {
	_ = c.SetWriteDeadline(time.Now().Add(c.waits()))
	_, err := to.Write(b)
	return err
}

// ask sends one request on a connection of its own and reads the head of the reply; once more with credentials when
// the server wants them.
func (p *Pull) ask(ctx context.Context, at *url.URL, c mmsh.ClientParams, build func([]byte, mmsh.ClientParams) []byte) (*reply, error) {
	r, err := p.once(ctx, at, c, build)
	if err != nil || r.status != http.StatusUnauthorized || p.opts.User == "" || !strings.EqualFold(at.Host, p.from.Host) {
		return r, err
	}
	r.close()
	answer, err := access.Authorization(r.header.Values("Www-Authenticate"), http.MethodGet, p.target(at), p.opts.User, p.opts.Password)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", &StatusError{Code: http.StatusUnauthorized}, err)
	}
	c.Header = append(c.Header, [2]string{"Authorization", answer})
	return p.once(ctx, at, c, build)
}

func (p *Pull) once(ctx context.Context, at *url.URL, c mmsh.ClientParams, build func([]byte, mmsh.ClientParams) []byte) (*reply, error) {
	r, over, err := p.connect(ctx, at)
	if err != nil {
		return nil, err
	}
	c = p.params(c, at, p.target(at), randomGUID())
	if p.viaProxy(at) && !secure(at) {
		c.Joined = true
		c.Header = append(c.Header, p.proxyHeader()...)
	}
	if err := r.conn.send(build(nil, c), over); err != nil {
		r.close()
		return nil, r.because(fmt.Errorf("sending the request: %w", err))
	}
	resp, err := readReply(bufio.NewReaderSize(over, 4096), http.MethodGet)
	if err != nil {
		r.close()
		return nil, r.because(err)
	}
	r.status, r.header, r.body = resp.StatusCode, resp.Header, bufio.NewReaderSize(resp.Body, 4096)
	return r, nil
}

// target is what stands in the request line: absolute towards a proxy, else the path.
func (p *Pull) target(at *url.URL) string {
	if p.viaProxy(at) && !secure(at) {
		return "http://" + at.Host + at.RequestURI()
	}
	return at.RequestURI()
}

// connect opens a connection that ends with ctx; over is what is spoken over it, TLS or the connection itself.
func (p *Pull) connect(ctx context.Context, at *url.URL) (r *reply, over net.Conn, err error) {
	address := net.JoinHostPort(at.Hostname(), portOf(at))
	through := address
	if p.viaProxy(at) {
		through = p.opts.Proxy.Address
	}
	dialing, cancel := context.WithTimeout(ctx, p.opts.Timeout)
	defer cancel()
	conn, err := p.opts.Dial(dialing, "tcp", through)
	if err != nil {
		return nil, nil, err
	}
	timed := &timedConn{Conn: conn}
	timed.patience(p.opts.Timeout)
	r = &reply{ctx: ctx, conn: timed, stop: context.AfterFunc(ctx, func() { _ = conn.Close() })}
	if over, err = p.secured(dialing, r, at, address); err != nil {
		r.close()
		return nil, nil, r.because(err)
	}
	return r, over, nil
}

// secured asks the proxy for a tunnel and begins TLS, where the address wants them.
func (p *Pull) secured(ctx context.Context, r *reply, at *url.URL, address string) (net.Conn, error) {
	if !secure(at) {
		return r.conn, nil
	}
	if p.viaProxy(at) {
		if err := p.tunnel(r.conn, address); err != nil {
			return nil, err
		}
	}
	over := tls.Client(r.conn, &tls.Config{
		ServerName: at.Hostname(), RootCAs: p.opts.RootCAs, MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: p.opts.Insecure, // #nosec G402 -- the operator asked for it
	})
	if err := over.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return over, nil
}

// tunnel asks the proxy to connect through to address.
func (p *Pull) tunnel(conn *timedConn, address string) error {
	ask := "CONNECT " + address + " HTTP/1.1\r\nHost: " + address + "\r\n"
	for _, h := range p.proxyHeader() {
		ask += h[0] + ": " + h[1] + "\r\n"
	}
	if err := conn.send([]byte(ask+"\r\n"), conn); err != nil {
		return fmt.Errorf("asking the proxy: %w", err)
	}
	br := bufio.NewReaderSize(conn, 4096)
	resp, err := readReply(br, http.MethodConnect)
	if err != nil {
		return fmt.Errorf("reply of the proxy: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the proxy refuses: %w", &StatusError{Code: resp.StatusCode})
	}
	if br.Buffered() > 0 {
		return errors.New("the proxy sent more than its reply")
	}
	return nil
}

func (p *Pull) proxyHeader() [][2]string {
	if p.opts.Proxy == nil || p.opts.Proxy.User == "" {
		return nil
	}
	pair := base64.StdEncoding.EncodeToString([]byte(p.opts.Proxy.User + ":" + p.opts.Proxy.Password))
	return [][2]string{{"Proxy-Authorization", "Basic " + pair}}
}

func (p *Pull) viaProxy(at *url.URL) bool {
	return p.opts.Proxy != nil && (p.opts.Proxy.Local || !isLocal(at.Hostname()))
}

// isLocal tells an address that a proxy outside could not reach: loopback, private, link-local, or a plain name.
func isLocal(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		a = a.Unmap()
		return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsUnspecified()
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return !strings.Contains(host, ".") || strings.HasSuffix(host, ".localhost")
}

func secure(at *url.URL) bool { return strings.EqualFold(at.Scheme, "https") }

func portOf(at *url.URL) string {
	switch port := at.Port(); {
	case port != "":
		return port
	case secure(at):
		return "443"
	}
	return "80"
}

// randomGUID is what a player calls itself.
func randomGUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("{%x-%x-%x-%x-%x}", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
