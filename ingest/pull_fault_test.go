package ingest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/certtest"
	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/stream"
)

// These tests break what is between the pump and a source, see the pump try again and
// say why, mend it, and see the stream on the air without anybody's help.

// sendLive answers one request as a server that is on the air, until nobody listens.
func sendLive(ctx context.Context, conn io.ReadWriter, br *bufio.Reader) {
	req, err := http.ReadRequest(br)
	if err != nil {
		return
	}
	raw := testHeader(320)
	_, _ = io.WriteString(conn, rex+"\r\n"+string(mmsh.AppendHeader(nil, raw)))
	if mmsh.Classify(req.Method, req.Header).Kind != mmsh.Play {
		return
	}
	for n := 0; ctx.Err() == nil; n++ {
		b, _ := mmsh.AppendData(nil, uint32(n), 0, packet(n, uint32(n*40), n%5 == 0))
		if _, err := conn.Write(b); err != nil || !sleep(ctx, 5*time.Millisecond) {
			return
		}
	}
}

func liveOrigin(t *testing.T) (address string) {
	return serve(t, func(ctx context.Context, conn net.Conn) { sendLive(ctx, conn, bufio.NewReader(conn)) })
}

// watched is a pull that is kept going, with its log.
type watched struct {
	*rig
	log *worldtest.Log
}

func superviseFault(t *testing.T, o PullOptions) *watched {
	t.Helper()
	w := &watched{rig: newRig(t), log: &worldtest.Log{}}
	o.Log = slog.New(slog.NewTextHandler(w.log, nil))
	p, err := NewPull(o)
	if err != nil {
		t.Fatal(err)
	}
	w.supervised(t, SupervisorOptions{RollOptions: RollOptions{Sources: []Source{p}}, BackoffMin: time.Millisecond, BackoffMax: 10 * time.Millisecond, Log: o.Log})
	return w
}

// fails sees that the source is asked again and again, each time with an error that says so, and
// that the stream is not on the air.
func (w *watched) fails(t *testing.T, text string) {
	t.Helper()
	before, asked := len(w.log.String()[0:]), w.s.Metrics().SourceReconnects.Load()
	worldtest.Eventually(t, "two attempts that fail: "+text, func() bool {
		return strings.Count(w.log.String()[before:], text) >= 2 && w.s.Metrics().SourceReconnects.Load() > asked
	})
	if state := w.s.State(); state.Delivering() {
		t.Errorf("the stream is %v", state)
	}
}

// plays sees that the stream is on the air, and that packets come.
func (w *watched) plays(t *testing.T) {
	t.Helper()
	before := w.s.Metrics().PacketsIn.Load()
	worldtest.Eventually(t, "the stream is on the air: "+w.log.String()[0:], func() bool {
		return w.s.State() == stream.Live && w.s.Metrics().PacketsIn.Load() > before+3
	})
}

// nameServer answers, over UDP, for one name. Its answers are what the test wants them to be.
type nameServer struct {
	conn    net.PacketConn
	address atomic.Pointer[netip.Addr] // nil: what rcode says
	rcode   atomic.Int32               // below 0: no answer at all
}

const (
	noAnswer  = -1
	servFail  = 2
	nameError = 3
)

func newNameServer(t *testing.T) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{conn: conn}
	var done sync.WaitGroup
	done.Go(s.run)
	t.Cleanup(func() { _ = conn.Close(); done.Wait() })
	return s
}

func (s *nameServer) run() {
	query := make([]byte, 1500)
	for {
		n, from, err := s.conn.ReadFrom(query)
		if err != nil {
			return
		}
		if reply := s.answer(query[:n]); reply != nil {
			_, _ = s.conn.WriteTo(reply, from)
		}
	}
}

// answer is the reply to a query, RFC 1035 4.1: the header, the question again, and at most one address.
func (s *nameServer) answer(query []byte) []byte {
	end := 12 + bytes.IndexByte(query[12:], 0) + 5
	rcode, addr := s.rcode.Load(), s.address.Load()
	if rcode < 0 {
		return nil
	}
	reply := bytes.Clone(query[:end])
	if addr != nil {
		rcode = 0
	}
	binary.BigEndian.PutUint16(reply[2:], 0x8180|uint16(rcode))
	binary.BigEndian.PutUint32(reply[8:], 0)
	if isA := binary.BigEndian.Uint16(query[end-4:]) == 1; addr == nil || !isA {
		binary.BigEndian.PutUint16(reply[6:], 0)
		return reply
	}
	binary.BigEndian.PutUint16(reply[6:], 1)
	ip := addr.As4()
	return append(append(reply, 0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4), ip[:]...)
}

// dial looks names up at this server, whatever the system's configuration names.
func (s *nameServer) dial(t *testing.T) func(context.Context, string, string) (net.Conn, error) {
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "udp", s.conn.LocalAddr().String())
		if err == nil { // the resolver itself waits five seconds for an answer, whoever has lost patience by then
			context.AfterFunc(t.Context(), func() { _ = conn.Close() })
		}
		return conn, err
	}}
	return (&net.Dialer{Resolver: resolver}).DialContext
}

func TestPullWhileNamesFail(t *testing.T) {
	_, port, _ := net.SplitHostPort(liveOrigin(t))
	names := newNameServer(t)
	names.rcode.Store(noAnswer)
	w := superviseFault(t, PullOptions{URL: "mmsh://source.example.:" + port + "/x", Dial: names.dial(t), Timeout: 200 * time.Millisecond})
	w.fails(t, "lookup source.example.")
	names.rcode.Store(servFail)
	w.fails(t, "server misbehaving")
	names.rcode.Store(nameError)
	w.fails(t, "no such host")
	names.address.Store(new(netip.MustParseAddr("127.0.0.1")))
	w.plays(t)
}

// machine is a server on the air at one address of loopback, which can be switched off.
func machine(t *testing.T, address string) (port string, off func()) {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				sendLive(ctx, conn, bufio.NewReader(conn))
			})
		}
	})
	off = func() { cancel(); _ = ln.Close(); all.Wait() }
	t.Cleanup(off)
	_, port, _ = net.SplitHostPort(ln.Addr().String())
	return port, off
}

// A name that comes to mean another machine is looked up again when the source is lost.
func TestPullFollowsANameThatMoves(t *testing.T) {
	port, off := machine(t, "127.0.0.1:0")
	machine(t, "127.0.0.2:"+port)
	names := newNameServer(t)
	names.address.Store(new(netip.MustParseAddr("127.0.0.1")))
	w := superviseFault(t, PullOptions{URL: "mmsh://source.example.:" + port + "/x", Dial: names.dial(t), Timeout: time.Second})
	w.plays(t)
	names.address.Store(new(netip.MustParseAddr("127.0.0.2")))
	off()
	w.plays(t)
}

// proxy is an HTTP proxy towards one server, that works or fails as the test wants.
type proxy struct {
	address string
	fault   atomic.Pointer[func(net.Conn, *http.Request) (failed bool)]
	open    sync.Map // net.Conn of those who are served
}

func newProxy(t *testing.T, server string) *proxy {
	t.Helper()
	p := &proxy{}
	p.address = serve(t, func(ctx context.Context, conn net.Conn) {
		p.open.Store(conn, nil)
		defer p.open.Delete(conn)
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		defer stop()
		br := bufio.NewReader(conn)
		req, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		if f := p.fault.Load(); f != nil && (*f)(conn, req) {
			return
		}
		far, err := net.Dial("tcp", server)
		if err != nil {
			return
		}
		defer far.Close()
		if req.Method == http.MethodConnect {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
		} else if req.WriteProxy(far) != nil {
			return
		}
		var up sync.WaitGroup
		up.Go(func() { _, _ = io.Copy(far, br); far.Close() })
		_, _ = io.Copy(conn, far)
		conn.Close()
		up.Wait()
	})
	return p
}

// cut closes all connections at once, in mid-stream.
func (p *proxy) cut() {
	p.open.Range(func(conn, _ any) bool { _ = conn.(net.Conn).Close(); return true })
}

func TestPullWhileAProxyFails(t *testing.T) {
	secure := secureOrigin(t)
	for _, way := range []struct {
		name string
		pull PullOptions
		via  *proxy
	}{
		{"asked for an absolute address", PullOptions{URL: "mmsh://source.example/x"}, newProxy(t, liveOrigin(t))},
		{"asked for a tunnel", PullOptions{URL: "https://source.example/x", RootCAs: secure.Pool()}, newProxy(t, secure.address)},
	} {
		t.Run(way.name, func(t *testing.T) {
			o := way.pull
			o.Timeout = 300 * time.Millisecond
			o.Proxy = &Proxy{Address: way.via.address}
			w := superviseFault(t, o)
			w.plays(t)
			says := func(text string) func(net.Conn, *http.Request) bool {
				return func(conn net.Conn, _ *http.Request) bool { _, _ = io.WriteString(conn, text); return true }
			}
			for _, c := range []struct {
				name, text string
				fault      func(net.Conn, *http.Request) bool
			}{
				{"hangs up", "EOF", says("")},
				{"cannot reach the source", "502", says("HTTP/1.1 502 Bad Gateway\r\n\r\n")},
				{"wants a password", "407", says("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x\r\n\r\n")},
				{"talks nonsense", "malformed HTTP", says("SSH-2.0-proxy\r\n\r\n")},
				{"is silent", "no data for 300ms", func(conn net.Conn, _ *http.Request) bool {
					_, _ = io.Copy(io.Discard, conn)
					return true
				}},
			} {
				way.via.fault.Store(&c.fault)
				way.via.cut()
				w.fails(t, c.text)
				way.via.fault.Store(nil)
				w.plays(t)
			}
		})
	}
	t.Run("is not there", func(t *testing.T) {
		gone, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_ = gone.Close()
		w := superviseFault(t, PullOptions{URL: "mmsh://source.example/x", Proxy: &Proxy{Address: gone.Addr().String()}})
		w.fails(t, "connection refused")
	})
}

// secureServer is a live server behind TLS, source.example, whose certificate can be exchanged.
type secureServer struct {
	*certtest.Authority
	address string
	shown   atomic.Pointer[tls.Certificate]
	open    sync.Map // net.Conn
}

func secureOrigin(t *testing.T) *secureServer {
	t.Helper()
	s := &secureServer{Authority: certtest.NewAuthority(t, "authority")}
	s.shows(t, s.Authority, -time.Hour, time.Hour)
	cfg := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.shown.Load(), nil }}
	s.address = serve(t, func(ctx context.Context, conn net.Conn) {
		s.open.Store(conn, nil)
		defer s.open.Delete(conn)
		secure := tls.Server(conn, cfg)
		sendLive(ctx, secure, bufio.NewReader(secure))
	})
	return s
}

// shows exchanges the certificate for one of that authority, good from then to then, counted from now.
func (s *secureServer) shows(t *testing.T, of *certtest.Authority, from, to time.Duration) {
	t.Helper()
	now := time.Now()
	s.shown.Store(new(of.Issue(t, certtest.Spec{Hosts: []string{"source.example"}, NotBefore: now.Add(from), NotAfter: now.Add(to)})))
}

// A source whose certificate is out of date is not played, whoever answers in its place; one that
// shows a good one is, without a restart.
func TestPullWhileACertificateIsOutOfDate(t *testing.T) {
	source := secureOrigin(t)
	expired := func() { source.shows(t, source.Authority, -2*time.Hour, -time.Hour) }
	expired()
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, source.address)
	}
	w := superviseFault(t, PullOptions{URL: "https://source.example/x", RootCAs: source.Pool(), Dial: dial, Timeout: 2 * time.Second})
	w.fails(t, "certificate has expired or is not yet valid")
	source.shows(t, source.Authority, time.Hour, 2*time.Hour) // as to a clock that is slow
	w.fails(t, "certificate has expired or is not yet valid")
	source.shows(t, certtest.NewAuthority(t, "another"), -time.Hour, time.Hour)
	w.fails(t, "unknown authority")
	source.shows(t, source.Authority, -time.Hour, time.Hour)
	w.plays(t)
	expired()
	w.plays(t) // the connection that is there goes on
	source.open.Range(func(conn, _ any) bool { _ = conn.(net.Conn).Close(); return true })
	w.fails(t, "certificate has expired or is not yet valid")
}
