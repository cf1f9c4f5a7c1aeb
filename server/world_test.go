package server

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/ringbuf"
	"github.com/stream-pump/stream-pump/stream"
	"github.com/stream-pump/stream-pump/telemetry"
)

// patience is how long a test waits for something that must happen.
const patience = time.Minute

// world is a server on loopback with one stream, and everything that a test looks at.
type world struct {
	testing.TB
	srv    *Server
	reg    *stream.Registry
	pool   *ringbuf.Pool
	limits *access.Limits
	stream *stream.Stream
	ln     net.Listener
	addr   string // of the plain door
	tlsA   string // of the door behind TLS, "" before serveTLS
	served chan error
	doors  int
	down   bool

	encoders []*encoder
}

// never is a term that is over only when a test says so.
const never = time.Hour

// plan is what a world is made with; the zero value has the defaults of a busy test: no
// term of a head, a lag or a stall is over because the machine is slow.
type plan struct {
	settings Settings
	bounds   access.Bounds
	ring     ringbuf.Limits
	hold     time.Duration
	loops    int
	push     PushHandler
	gate     Gate
	audience Audience
	answers  http.Handler // to challenges
	noPad    bool
	egress   string
	log      *slog.Logger
}

func newWorld(t testing.TB, p plan) *world {
	t.Helper()
	if p.settings.PulseMin == 0 {
		p.settings.PulseMin, p.settings.PulseMax = time.Millisecond, 5*time.Millisecond
	}
	for _, term := range []*time.Duration{&p.settings.HeadTimeout, &p.settings.LagMax, &p.settings.StallTimeout} {
		*term = cmp.Or(*term, never)
	}
	if p.loops == 0 {
		p.loops = 2
	}
	files := openFiles(t)
	w := &world{TB: t, reg: stream.NewRegistry(), pool: ringbuf.NewPool(0), limits: access.NewLimits(p.bounds), served: make(chan error, 4)}
	o := Options{Streams: w.reg, Limits: w.limits, Metrics: telemetry.NewMetrics(), Loops: p.loops, Settings: p.settings, Push: p.push, Gate: p.gate, Audience: p.audience, Challenges: p.answers, PadPacket: asf.Pad, Egress: p.egress, Log: p.log}
	if p.noPad {
		o.PadPacket = nil
	}
	srv, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	w.srv = srv
	w.stream = w.addStream("x", p.ring, p.hold)
	t.Cleanup(func() { // the last of all clean-ups
		worldtest.Eventually(t, "all files are closed", func() bool { return openFiles(t) <= files })
	})
	ln := w.listen()
	w.ln, w.addr = ln, ln.Addr().String()
	w.doors++
	go func() { w.served <- srv.Serve(ln) }()
	t.Cleanup(w.shutdown)
	return w
}

func (w *world) listen() net.Listener {
	w.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = ln.Close() })
	return ln
}

func (w *world) addStream(path string, ring ringbuf.Limits, hold time.Duration) *stream.Stream {
	w.Helper()
	s := stream.New(stream.Options{Path: path, Name: "Stream " + path, Type: "test", Hold: hold, Ring: ring, Pool: w.pool, EndFrame: mmsh.AppendEnd(nil, mmsh.ReasonEnd)})
	if err := w.reg.Add(s); err != nil {
		w.Fatal(err)
	}
	return s
}

// serveTLS opens the second door.
func (w *world) serveTLS() {
	w.Helper()
	ln := w.listen()
	w.tlsA = ln.Addr().String()
	w.doors++
	cfg := &tls.Config{Certificates: []tls.Certificate{testCertificate(w.TB)}}
	go func() { w.served <- w.srv.ServeTLS(ln, cfg) }()
}

// shutdown closes the streams, drains the server and sees that nothing is left.
func (w *world) shutdown() {
	w.Helper()
	if w.down {
		return
	}
	w.down = true
	w.srv.Drain() // so that the ends that follow are known to be the server's doing
	for _, s := range w.reg.All() {
		s.Close()
	}
	for _, e := range w.encoders {
		e.lost()
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := w.srv.Shutdown(ctx); err != nil {
		w.Errorf("Shutdown: %v", err)
	}
	for range w.doors {
		if err := <-w.served; err != nil && !errors.Is(err, ErrServerClosed) {
			w.Errorf("Serve: %v", err)
		}
	}
	w.nothingLeft(ctx)
}

// nothingLeft sees that every place, session and slab has been given back.
func (w *world) nothingLeft(ctx context.Context) {
	w.Helper()
	for _, s := range w.reg.All() {
		if n := s.Viewers(); n != 0 {
			w.Errorf("stream %s has %d viewers after the shutdown", s.Path(), n)
		}
		if err := s.Discard(ctx); err != nil {
			w.Errorf("Discard: %v", err)
		}
	}
	if n := w.pool.Live(); n != 0 {
		w.Errorf("%d slabs are still referred to", n)
	}
	if u := w.limits.Usage(); u != (access.Usage{}) {
		w.Errorf("places not given back: %+v", u)
	}
}

// elapse has the term of whatever each connection on the event loops is at run as if so long
// had passed. With terms so long that they are never over by themselves, it is the test that
// says when they are, and not how fast the machine is.
func (w *world) elapse(d time.Duration) {
	w.Helper()
	w.onLoops(func(l *loop) {
		for c := range l.conns {
			c.deadline -= int64(d)
		}
	})
}

// onLoops runs f on each event loop, one after the other, and waits.
func (w *world) onLoops(f func(l *loop)) {
	w.Helper()
	for _, l := range w.srv.loops {
		if !l.call(context.Background(), func() { f(l) }) {
			w.Fatal("the event loop has ended")
		}
	}
}

// awaited is how many connections on the event loops something is awaited of within a term.
func (w *world) awaited() (n int) {
	w.Helper()
	w.onLoops(func(l *loop) { n += len(l.conns) })
	return n
}

// update changes settings while the server runs.
func (w *world) update(change func(set *Settings)) {
	set := *w.srv.settings.Load()
	change(&set)
	w.srv.Update(set)
}

// openFiles counts the descriptors of this process.
func openFiles(t testing.TB) int {
	t.Helper()
	warmUp.Do(func() { // the runtime opens some of its own with the first socket, and keeps them
		if ln, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
			_ = ln.Close()
		}
	})
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

var warmUp sync.Once

var certificates = make(chan tls.Certificate, 1)

// testCertificate returns a certificate for 127.0.0.1, made once.
func testCertificate(t testing.TB) tls.Certificate {
	t.Helper()
	select {
	case c := <-certificates:
		certificates <- c
		return c
	default:
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	select {
	case certificates <- c:
	default:
	}
	return c
}
