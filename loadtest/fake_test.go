package loadtest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/uring"
	"github.com/stream-pump/stream-pump/mmsh"
)

// fakeServer is a small MMSH reflector with room for misbehaviour: it takes a push and hands it to viewers, one
// goroutine each, starting at the newest key frame.
type fakeServer struct {
	t        *testing.T
	listener net.Listener
	wg       sync.WaitGroup

	// spoil, when set, may change what a viewer gets: it is called for each $D, counted from 0 for each viewer.
	spoil func(viewer, n int, frame []byte) [][]byte
	// handle, when set, may answer a request by itself.
	handle func(conn net.Conn, r *http.Request) bool

	mu       sync.Mutex
	changed  *sync.Cond
	header   []byte
	frames   [][]byte // the newest ones
	first    int      // number of frames[0]
	key      int      // number of the newest key frame
	viewers  int
	requests []string
	closed   bool
	conns    map[net.Conn]bool
}

func newFakeServer(t *testing.T, with ...func(*fakeServer)) *fakeServer {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &fakeServer{t: t, listener: l, conns: map[net.Conn]bool{}}
	s.changed = sync.NewCond(&s.mu)
	for _, set := range with {
		set(s)
	}
	s.wg.Go(s.accept)
	t.Cleanup(s.stop)
	return s
}

// spoiling is a server that changes what viewers get.
func spoiling(f func(viewer, n int, frame []byte) [][]byte) func(*fakeServer) {
	return func(s *fakeServer) { s.spoil = f }
}

// handling is a server that answers by itself.
func handling(f func(net.Conn, *http.Request) bool) func(*fakeServer) {
	return func(s *fakeServer) { s.handle = f }
}

func (s *fakeServer) url() string { return "mmsh://" + s.listener.Addr().String() + "/streams/x" }
func (s *fakeServer) pushURL() string {
	return "http://" + s.listener.Addr().String() + "/streams/x_push"
}

func (s *fakeServer) stop() {
	s.listener.Close()
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.Close()
	}
	s.changed.Broadcast()
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *fakeServer) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[conn] = true
		s.mu.Unlock()
		s.wg.Go(func() {
			s.serve(conn)
			conn.Close()
			s.mu.Lock()
			delete(s.conns, conn)
			s.mu.Unlock()
		})
	}
}

// serve answers the requests of one connection.
func (s *fakeServer) serve(conn net.Conn) {
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		kind := requestKind(r)
		s.mu.Lock()
		s.requests = append(s.requests, kind+" "+r.URL.Path)
		s.mu.Unlock()
		if s.handle != nil && s.handle(conn, r) {
			return
		}
		keep := strings.EqualFold(r.Header.Get("Connection"), "keep-alive")
		switch kind {
		case "setup":
			io.Copy(io.Discard, r.Body)
			conn.Write(mmsh.AppendPushSetupReply(nil, mmsh.PushReply{PushID: "abc123"}))
			continue
		case "start":
			s.receive(in)
			return
		case "describe":
			body := mmsh.AppendHeader(nil, s.waitHeader())
			conn.Write(append(mmsh.AppendDescribeHead(nil, mmsh.ReplyParams{ClientID: 77, ContentLength: len(body), KeepAlive: keep}), body...))
		case "keepalive", "log":
			io.Copy(io.Discard, r.Body)
			conn.Write(mmsh.AppendEmptyHead(nil, 200, mmsh.ReplyParams{ClientID: 77, KeepAlive: keep}))
		case "plain":
			io.WriteString(conn, "HTTP/1.0 200 OK\r\nContent-Type: video/x-ms-asf\r\n\r\n")
			s.play(conn, true)
			return
		default:
			conn.Write(mmsh.AppendPlayHead(nil, mmsh.ReplyParams{ClientID: 77}))
			s.play(conn, false)
			return
		}
		if !keep {
			return
		}
	}
}

func requestKind(r *http.Request) string {
	tokens := mmsh.ParseTokens(r.Header)
	switch {
	case r.Header.Get("Content-Type") == mmsh.TypePushSetup:
		return "setup"
	case r.Header.Get("Content-Type") == mmsh.TypePushStart:
		return "start"
	case r.Header.Get("Content-Type") == mmsh.TypeLogStats:
		return "log"
	case tokens.Has("xkeepaliveinpause"):
		return "keepalive"
	case tokens.Has("xplaystrm"):
		return "play"
	case strings.HasSuffix(r.URL.Path, ".asf"):
		return "plain"
	}
	return "describe"
}

// receive reads the body of a PushStart.
func (s *fakeServer) receive(in io.Reader) {
	for number := uint32(0); ; {
		var head [4]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return
		}
		payload := make([]byte, int(head[2])|int(head[3])<<8)
		if _, err := io.ReadFull(in, payload); err != nil {
			return
		}
		s.mu.Lock()
		switch head[1] {
		case mmsh.TypeHeader:
			s.header = payload
		case mmsh.TypeData:
			frame, err := mmsh.AppendData(nil, number, 0, payload)
			if err != nil {
				s.t.Error(err)
			}
			number++
			if st, ok := readStamp(payload[stampAt:]); ok && st.key {
				s.key = s.first + len(s.frames)
			}
			const keep = 5000 // more than a test publishes: a viewer may be far behind on a busy machine
			if drop := len(s.frames) - keep; drop > 0 {
				s.first, s.frames = s.first+drop, s.frames[drop:]
			}
			s.frames = append(s.frames, frame)
		}
		s.changed.Broadcast()
		s.mu.Unlock()
	}
}

func (s *fakeServer) waitHeader() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.header == nil && !s.closed {
		s.changed.Wait()
	}
	return s.header
}

// after waits for the frame of that number, or the oldest that is later. ok is false when the server ends.
func (s *fakeServer) after(n int) (frame []byte, at int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.closed && s.first+len(s.frames) <= n {
		s.changed.Wait()
	}
	if s.closed {
		return nil, 0, false
	}
	n = max(n, s.first)
	return s.frames[n-s.first], n, true
}

func (s *fakeServer) play(conn net.Conn, plain bool) {
	header := s.waitHeader()
	s.mu.Lock()
	viewer, next := s.viewers, s.key
	s.viewers++
	s.mu.Unlock()
	if plain {
		conn.Write(header)
	} else {
		conn.Write(mmsh.AppendHeader(nil, header))
	}
	for n := 0; ; n++ {
		frame, at, ok := s.after(next)
		if !ok {
			return
		}
		next = at + 1
		out := [][]byte{frame}
		if s.spoil != nil {
			out = s.spoil(viewer, n, bytes.Clone(frame))
		}
		if out == nil {
			return
		}
		for _, f := range out {
			if plain {
				f = f[mmsh.DataHeadSize:]
			}
			if _, err := conn.Write(f); err != nil {
				return
			}
		}
	}
}

// asked counts the requests of a kind.
func (s *fakeServer) asked(kind string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, r := range s.requests {
		if strings.HasPrefix(r, kind+" ") {
			n++
		}
	}
	return n
}

// push runs a synthetic source against the server until the test ends.
func (s *fakeServer) push(t *testing.T, o PushOptions) {
	t.Helper()
	o.URL = s.pushURL()
	if o.KeyInterval == 0 {
		o.KeyInterval = 200 * time.Millisecond
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Push(ctx, o) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("pushing: %v", err)
		}
	})
	s.waitHeader()
}

// quick are options for a run that is over in about a second.
func quick(urls ...string) Options {
	return Options{Clients: 10, URLs: urls, Duration: 600 * time.Millisecond, JoinTimeout: time.Minute, MaxJoin: time.Minute}
}

// withEachReader runs a test with both ways to read.
func withEachReader(t *testing.T, f func(t *testing.T, reader string)) {
	for _, reader := range []string{ReaderURing, ReaderEpoll} {
		t.Run(reader, func(t *testing.T) {
			t.Parallel()
			if reader == ReaderURing {
				needURing(t)
			}
			f(t, reader)
		})
	}
}

// needURing skips a test where the kernel has no io_uring, or not enough of it.
func needURing(t *testing.T) {
	t.Helper()
	ring, err := uring.New(8, uring.SubmitAll|uring.OneThread)
	if err != nil {
		t.Skipf("no io_uring here: %v", err)
	}
	ring.Close()
}

// longEnough runs something for a time, and for longer when a slow machine had not the time for what is to be seen.
func longEnough(d time.Duration, run func(time.Duration) *Report, seen func(*Report) bool) *Report {
	rep := run(d)
	for range 3 {
		if seen(rep) {
			break
		}
		d *= 3
		rep = run(d)
	}
	return rep
}

func mustRun(t *testing.T, o Options) *Report {
	t.Helper()
	rep, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

// wantVerdict compares, and shows the report when it differs. A machine that has no time for the test skips it.
func wantVerdict(t *testing.T, rep *Report, want string) {
	t.Helper()
	if rep.Verdict == Inconclusive {
		t.Skipf("this machine is too busy: %q", rep.Reasons)
	}
	if rep.Verdict != want {
		var b strings.Builder
		rep.WriteText(&b)
		t.Fatalf("verdict %q, want %q\n%s", rep.Verdict, want, b.String())
	}
}

func faultKinds(rep *Report) string {
	var kinds []string
	for _, f := range rep.Faults {
		kinds = append(kinds, f.Kind)
	}
	return fmt.Sprint(kinds)
}
