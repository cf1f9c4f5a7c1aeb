package delegate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Upstream is where a viewer's stream comes from who is served through the house.
type Upstream struct {
	URL    *url.URL // of the stream at the pump that was chosen, with the viewer's query
	Stream string   // path
	Viewer netip.Addr
}

// relay is the viewers that are served through the house. What they get is copied from one socket to the other, which
// the kernel does by itself where neither has TLS.
type relay struct {
	ctx     context.Context
	viewers atomic.Int64
	bits    atomic.Int64

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
	done   sync.WaitGroup
}

// Bounds of one viewer.
const (
	dialWithin = 10 * time.Second
	headWithin = 20 * time.Second // a pump that waits for a source answers within this
	piece      = 16 << 10         // bytes
	pieceIn    = time.Minute      // an audio stream of 16 kbit/s needs 8 s
)

func (l *relay) init(ctx context.Context) { l.ctx, l.conns = ctx, map[net.Conn]struct{}{} }

// enter takes a place; leave gives it back.
func (l *relay) enter(s *Settings, bits int64) bool {
	if n, b := l.viewers.Add(1), l.bits.Add(bits); n > int64(s.RelayViewers) || s.RelayBandwidth > 0 && b > s.RelayBandwidth {
		l.leave(bits)
		return false
	}
	return true
}

func (l *relay) leave(bits int64) {
	l.viewers.Add(-1)
	l.bits.Add(-bits)
}

// hold lets close end a connection; false: it is too late.
func (l *relay) hold(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.conns[c] = struct{}{}
	l.done.Add(1)
	return true
}

func (l *relay) drop(c net.Conn) {
	l.mu.Lock()
	delete(l.conns, c)
	l.mu.Unlock()
	l.done.Done()
}

func (l *relay) close() {
	l.mu.Lock()
	l.closed = true
	for c := range l.conns {
		_ = c.Close() // whoever copies notices
	}
	l.mu.Unlock()
	l.done.Wait()
}

// through serves a viewer through the house.
func (d *Delegator) through(w http.ResponseWriter, r *http.Request, location, stream string, bits int64) {
	u, err := url.Parse(location)
	if err != nil {
		refuse(w, r, http.StatusBadGateway, "the pump has no good address")
		return
	}
	if !d.relay.enter(d.settings.Load(), bits) {
		d.counts.relayFull.Add(1)
		refuse(w, r, http.StatusServiceUnavailable, "too many players that follow no redirect; another player, or the address with .asx, may do")
		return
	}
	defer d.relay.leave(bits)
	ctx, cancel := context.WithTimeout(r.Context(), dialWithin)
	defer cancel()
	up, err := d.opts.Dial(ctx, Upstream{URL: u, Stream: stream, Viewer: d.opts.Remote(r)})
	if err != nil {
		d.log.Warn("a viewer could not be served through the house", slog.String("pump", u.Host), slog.Any("error", err))
		refuse(w, r, http.StatusBadGateway, "the pump cannot be reached")
		return
	}
	defer up.Close()
	if err = up.SetDeadline(time.Now().Add(headWithin)); err == nil {
		err = forward(up, r, u, d.opts.Remote(r))
	}
	if err != nil {
		refuse(w, r, http.StatusBadGateway, "the pump cannot be reached")
		return
	}
	down, rest, err := http.NewResponseController(w).Hijack()
	if err != nil {
		refuse(w, r, http.StatusInternalServerError, "the connection cannot be taken over")
		return
	}
	defer down.Close()
	if rest.Reader.Buffered() > 0 { // such players send nothing after their request
		return
	}
	d.counts.relayed.Add(1)
	d.relay.couple(down, up)
}

// forward sends the viewer's request on to the pump.
func forward(up io.Writer, r *http.Request, u *url.URL, viewer netip.Addr) error {
	h := r.Header.Clone()
	for _, name := range [...]string{"Connection", "Proxy-Connection", "Keep-Alive", "Upgrade", "Te", "Trailer", "Forwarded", "X-Forwarded-Proto", "X-Real-Ip"} {
		h.Del(name)
	}
	if viewer.IsValid() {
		h.Set("X-Forwarded-For", viewer.String())
	}
	h.Set("Connection", "close")
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.0\r\nHost: %s\r\n", u.RequestURI(), u.Host)
	if err := h.Write(&b); err != nil {
		return err
	}
	_, err := io.WriteString(up, b.String()+"\r\n")
	return err
}

// couple copies from the pump to the viewer until either ends.
func (l *relay) couple(down, up net.Conn) {
	for _, c := range [...]net.Conn{down, up} {
		if !l.hold(c) {
			return
		}
		defer l.drop(c)
	}
	_ = down.SetReadDeadline(time.Time{}) // a viewer says nothing, for hours
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, down) // ends when the viewer does
		_ = up.Close()
	}()
	for {
		now := time.Now()
		if up.SetReadDeadline(now.Add(pieceIn)) != nil || down.SetWriteDeadline(now.Add(pieceIn)) != nil {
			break
		}
		if _, err := io.CopyN(down, up, piece); err != nil {
			break
		}
	}
	if c, ok := down.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite() // the last bytes arrive before the connection ends
	}
	_ = down.SetReadDeadline(time.Now().Add(lingers))
	<-gone
}

// lingers is how long a viewer may take to notice the end of the stream.
const lingers = 2 * time.Second

// dial connects to a pump.
func dial(ctx context.Context, to Upstream) (net.Conn, error) {
	port := to.URL.Port()
	var dialer interface {
		DialContext(context.Context, string, string) (net.Conn, error)
	} = &net.Dialer{}
	switch {
	case to.URL.Scheme == "https":
		dialer = &tls.Dialer{}
		if port == "" {
			port = "443"
		}
	case to.URL.Scheme != "http":
		return nil, errors.New("the pump's address is neither http nor https")
	case port == "":
		port = "80"
	}
	return dialer.DialContext(ctx, "tcp", net.JoinHostPort(to.URL.Hostname(), port))
}
