package server

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
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/stream-pump/stream-pump/access"
)

// acceptors is how many goroutines accept on a listener: each waits for an event loop
// to take its connection over, which during a pass takes milliseconds.
const acceptors = 4

// Bounds of the wait after an accept error.
const (
	acceptWaitMin = 5 * time.Millisecond
	acceptWaitMax = time.Second
)

// Bounds of those who are turned away.
const (
	turnAwayTime = 200 * time.Millisecond
	turnAwayMost = 32 // at once
)

// taker takes an accepted connection with its place over; on an error both stay the
// caller's.
type taker func(c net.Conn, remote netip.AddrPort, place *access.Connection) error

// Serve accepts viewers and encoders on a listener until it is closed or the server is.
// Any number of listeners may be served at once. It returns nil after Shutdown.
func (s *Server) Serve(ln net.Listener) error {
	return s.accept(ln, s.enroll)
}

// ServeTLS is Serve for connections behind TLS. One that negotiates another protocol than
// http/1.1 is closed after its handshake.
func (s *Server) ServeTLS(ln net.Listener, cfg *tls.Config) error {
	return s.accept(ln, func(c net.Conn, remote netip.AddrPort, place *access.Connection) error {
		if !s.spawn(c, place, func(ctx context.Context) { s.serveTLS(ctx, c, remote, place, cfg) }) {
			_ = c.Close()
			return ErrServerClosed
		}
		return nil
	})
}

func (s *Server) serveTLS(ctx context.Context, c net.Conn, remote netip.AddrPort, place *access.Connection, cfg *tls.Config) {
	hctx, cancel := context.WithTimeout(ctx, s.settings.Load().HeadTimeout)
	defer cancel()
	under, remote, ok := s.greet(hctx, c, remote, place)
	if !ok {
		return
	}
	tc := tls.Server(&wire{Conn: under}, cfg)
	if err := tc.HandshakeContext(hctx); err != nil {
		s.handshakeFailed(ctx, remote, err)
		return
	}
	if p := tc.ConnectionState().NegotiatedProtocol; p != "" && p != "http/1.1" {
		return // an authority's challenge, which the handshake has answered
	}
	d := s.newDoor(ctx, tc, remote, true)
	d.owned, d.place = c, place
	d.serve()
}

// handshakeFailed tells the operator, and who spoke plain HTTP to the port of TLS.
func (s *Server) handshakeFailed(ctx context.Context, remote netip.AddrPort, err error) {
	var none tls.RecordHeaderError
	if errors.As(err, &none) && none.Conn != nil && plausible(none.RecordHeader[0]) {
		plain := none.Conn
		if w, ok := plain.(*wire); ok {
			plain = w.Conn
		}
		s.newDoor(ctx, plain, remote, false).give(s.refuseHead(remote, http.StatusBadRequest, "plain HTTP is not spoken at this port, it takes TLS (https)"))
		return
	}
	if ctx.Err() == nil && !errors.Is(err, io.EOF) {
		s.repeats.Log(slog.LevelInfo, "TLS handshake", "TLS handshake failed", slog.String("address", remote.String()), slog.String("reason", err.Error()))
	}
}

func (s *Server) accept(ln net.Listener, take taker) error {
	if !s.addListener(ln) {
		return ErrServerClosed
	}
	defer s.removeListener(ln)
	var wg sync.WaitGroup
	errs := make([]error, acceptors)
	for i := range acceptors {
		wg.Add(1)
		go func() {
			defer wg.Done()
			errs[i] = s.acceptLoop(ln, take)
			_ = ln.Close() // one that gives up takes the others along
		}()
	}
	wg.Wait()
	if s.shut.Load() {
		return nil
	}
	return errors.Join(errs...)
}

func (s *Server) acceptLoop(ln net.Listener, take taker) error {
	wait := acceptWaitMin
	for {
		c, err := ln.Accept()
		switch {
		case err == nil:
			wait = acceptWaitMin
			s.admit(c, take)
		case errors.Is(err, net.ErrClosed):
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded): // another acceptor uses the spare
			continue
		case isTemporary(err):
			s.spare.use(ln)
			s.log.Warn("cannot accept connections; is the limit of open files too low?", "error", err, "listener", ln.Addr().String())
			select {
			case <-time.After(wait):
			case <-s.stopped:
				return nil
			}
			wait = min(2*wait, acceptWaitMax)
		default:
			return fmt.Errorf("accepting on %s: %w", ln.Addr(), err)
		}
	}
}

// isTemporary tells errors that pass: descriptors or memory ran out, or the connection
// was gone before it was accepted.
func isTemporary(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EAGAIN, syscall.EINTR, syscall.EPROTO, syscall.EPERM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// admit passes a connection on, unless there are too many.
func (s *Server) admit(c net.Conn, take taker) {
	remote := addrPort(c.RemoteAddr())
	from := remote.Addr()
	if s.trusts(remote) {
		from = netip.Addr{} // who is behind a proxy has yet to be said
	}
	place, err := s.opts.Limits.Connect(from)
	if err != nil {
		s.turnAway(c, err)
		return
	}
	err = s.spare.whileThere(func() error { return take(c, remote, place) })
	if err == nil {
		return
	}
	place.Release()
	_ = c.Close()
	if errors.Is(err, errNoFile) {
		s.spare.restore() // with the descriptor that c had
		return
	}
	s.log.Warn("connection lost", "address", remote.String(), "error", err)
}

// turnAway tells a client that there are too many. Some get the time to hear it out;
// when many come at once the others may see a reset instead.
func (s *Server) turnAway(c net.Conn, why error) {
	s.count(http.StatusServiceUnavailable)
	s.repeats.Log(slog.LevelWarn, "turned away", "clients are turned away", slog.String("reason", why.Error()))
	_ = c.SetDeadline(time.Now().Add(turnAwayTime))
	_, _ = c.Write(s.refuse(http.StatusServiceUnavailable, fullText(why), false).head)
	select {
	case s.leaving <- struct{}{}:
	default:
		_ = c.Close()
		return
	}
	go func() {
		if t, ok := c.(*net.TCPConn); ok && t.CloseWrite() == nil {
			_, _ = io.CopyN(io.Discard, c, readBuffer)
		}
		_ = c.Close()
		<-s.leaving
	}()
}

// enroll puts a connection on an event loop. One with an IPv6 zone is served on a
// goroutine instead: gnet recycles the memory of the zone's name, which is not its own.
func (s *Server) enroll(c net.Conn, remote netip.AddrPort, place *access.Connection) error {
	if remote.Addr().Zone() != "" {
		if !s.spawn(c, place, func(ctx context.Context) { s.servePlain(ctx, c, remote, place) }) {
			_ = c.Close()
			return ErrServerClosed
		}
		return nil
	}
	l := s.pickLoop()
	l.load.Add(1)
	_, err := l.engine.EnrollContext(c, &conn{srv: s, remote: remote, place: place, heading: true})
	if err != nil {
		l.load.Add(-1)
	}
	return err
}

// servePlain is what a loop does, on a goroutine.
func (s *Server) servePlain(ctx context.Context, c net.Conn, remote netip.AddrPort, place *access.Connection) {
	hctx, cancel := context.WithTimeout(ctx, s.settings.Load().HeadTimeout)
	c, remote, ok := s.greet(hctx, c, remote, place)
	cancel()
	if ok {
		d := s.newDoor(ctx, c, remote, false)
		d.place = place
		d.serve()
	}
}

// pickLoop returns the loop for a new connection: the first one that is not full, else the one with the fewest.
func (s *Server) pickLoop() *loop {
	least := s.loops[0]
	for _, l := range s.loops {
		n := l.load.Load()
		if n < packed || !l.fill.full.Load() {
			return l
		}
		if n < least.load.Load() {
			least = l
		}
	}
	return least
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// spare is a descriptor kept in reserve: when files run out it is given up for a
// moment, so that a waiting client is told no instead of waiting for ever. Nobody is let in
// meanwhile, nor while it is missing: a connection with the spare's descriptor would leave
// those who come later waiting.
type spare struct {
	mu    sync.RWMutex // held by who lets somebody in, alone by who gives it up
	f     *os.File     // nil: missing, or never to be had
	short bool         // it is missing because descriptors have run out
}

func (r *spare) open() {
	var err error
	r.f, err = os.Open(os.DevNull)
	r.short = errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// whileThere calls f unless the spare is missing, and is not given up before f returns.
func (r *spare) whileThere(f func() error) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.short {
		return errNoFile
	}
	return f()
}

var errNoFile = errors.New("no descriptor is left")

// restore takes the spare back if it is missing.
func (r *spare) restore() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.short {
		r.open()
	}
}

// use closes the spare, turns one client away, and takes the spare back.
func (r *spare) use(ln net.Listener) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.f == nil {
		r.open()
		return
	}
	_ = r.f.Close()
	if d, ok := ln.(interface{ SetDeadline(time.Time) error }); ok {
		_ = d.SetDeadline(time.Now().Add(time.Millisecond))
		if c, err := ln.Accept(); err == nil {
			_ = c.Close()
		}
		_ = d.SetDeadline(time.Time{})
	}
	r.open()
}

func (r *spare) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.f != nil {
		_ = r.f.Close()
		r.f = nil
	}
}
