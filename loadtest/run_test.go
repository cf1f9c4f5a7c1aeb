package loadtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/mmsh"
)

func TestAServerThatDoesItsWorkPasses(t *testing.T) {
	t.Parallel()
	withEachReader(t, doesItsWork)
}

func doesItsWork(t *testing.T, reader string) {
	s := newFakeServer(t)
	s.push(t, PushOptions{Rate: 500_000})
	o := quick(s.url())
	o.ServerPID, o.Reader = os.Getpid(), reader
	rep := mustRun(t, o)
	wantVerdict(t, rep, Pass)
	if c := rep.Clients; c != (ClientCounts{Requested: 10, Connected: 10, AliveAtEnd: 10}) {
		t.Errorf("clients: %+v", c)
	}
	if rep.Delivery != (Delivery{1, 1, 1}) || rep.Latency.Count == 0 || rep.Join.Count != 10 || !rep.Setup.Stamped {
		t.Errorf("delivery %+v, latency %+v, join %+v", rep.Delivery, rep.Latency, rep.Join)
	}
	if rep.Bytes == 0 || rep.Mbit == 0 || rep.DurationS < 0.5 || rep.Server.RSS == 0 || rep.Server.Peak < rep.Server.RSS {
		t.Errorf("bytes %d, %v Mbit/s, %v s, server %+v", rep.Bytes, rep.Mbit, rep.DurationS, rep.Server)
	}
	if l := rep.Tester; l.Reader != reader || l.Bottleneck || l.OfServer <= 0 || rep.Machine.Processors == 0 || rep.Machine.Busy <= 0 {
		t.Errorf("load tester %+v, machine %+v", l, rep.Machine)
	}
}

// Each kind of misbehaviour is found and named.
func TestMisbehavingServers(t *testing.T) {
	t.Parallel()
	drop := func(n int, only int, frame []byte) [][]byte {
		if n == only {
			return [][]byte{}
		}
		return [][]byte{frame}
	}
	for _, tc := range []struct {
		name  string
		spoil func(viewer, n int, frame []byte) [][]byte
		want  string // in the verdict's reasons or the faults
		kind  string
	}{
		{"loses a packet for one viewer", func(v, n int, f []byte) [][]byte {
			if v == 3 {
				return drop(n, 5, f)
			}
			return [][]byte{f}
		}, "delivery of the worst viewer", "lost"},
		{"tears a packet", func(v, n int, f []byte) [][]byte {
			if n == 5 {
				f[len(f)-1] ^= 0xFF
			}
			return [][]byte{f}
		}, "not what was sent", "torn"},
		{"repeats a packet", func(v, n int, f []byte) [][]byte {
			if n == 5 {
				return [][]byte{f, f}
			}
			return [][]byte{f}
		}, "LocationId", "order"},
		{"breaks framing", func(v, n int, f []byte) [][]byte {
			if n == 5 {
				return [][]byte{f[:20], f}
			}
			return [][]byte{f}
		}, "framing", "framing"},
		{"does not begin at a key frame", func(v, n int, f []byte) [][]byte { return drop(n, 0, f) }, "key frame", "key"},
		{"ends inside a packet", func(v, n int, f []byte) [][]byte {
			switch {
			case n == 5:
				return [][]byte{f[:50]}
			case n > 5:
				return nil
			}
			return [][]byte{f}
		}, "ended inside a packet", "torn"},
		{"throws viewers out", func(v, n int, f []byte) [][]byte {
			if n == 5 {
				return nil
			}
			return [][]byte{f}
		}, "did not stay to the end", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			withEachReader(t, func(t *testing.T, reader string) {
				s := newFakeServer(t, spoiling(tc.spoil))
				s.push(t, PushOptions{Rate: 500_000})
				o := quick(s.url())
				o.Reader = reader
				rep := mustRun(t, o)
				wantVerdict(t, rep, Fail)
				said := strings.Join(rep.Reasons, "\n") + fmt.Sprint(rep.Faults)
				if !strings.Contains(said, tc.want) || !strings.Contains(faultKinds(rep), tc.kind) {
					t.Errorf("reasons %q, faults %v; want %q of kind %q", rep.Reasons, rep.Faults, tc.want, tc.kind)
				}
			})
		})
	}
}

// What kept viewers out is said once, with its count.
func TestFailuresAreNamed(t *testing.T) {
	t.Parallel()
	answer := func(text string) func(net.Conn, *http.Request) bool {
		return func(c net.Conn, _ *http.Request) bool { io.WriteString(c, text); return true }
	}
	for _, tc := range []struct {
		name, want string
		handle     func(net.Conn, *http.Request) bool
	}{
		{"a refusal", "answer 503 Service Unavailable", answer("HTTP/1.0 503 Busy\r\nContent-Length: 0\r\n\r\n")},
		{"a limit", "answer 453", answer("HTTP/1.0 453 Not Enough Bandwidth\r\nContent-Length: 0\r\n\r\n")},
		{"no HTTP", "not HTTP", answer("SSH-2.0-x\r\n\r\n")},
		{"an end without an answer", "ended before an answer", answer("")},
		{"chunked although nobody offered it", "chunked", answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")},
		{"redirects in a circle", "too many redirects", answer("HTTP/1.0 302 Found\r\nLocation: /streams/x\r\n\r\n")},
		{"a redirect elsewhere", "no stream", answer("HTTP/1.0 302 Found\r\nLocation: ftp://h/x\r\n\r\n")},
		{"a playlist without an address", "playlist", answer("HTTP/1.0 200 OK\r\nContent-Type: video/x-ms-asx\r\n\r\n<asx></asx>")},
		{"a head without end", "without end of its head", answer("HTTP/1.0 200 OK\r\n" + strings.Repeat("X: y\r\n", 5000))},
		{"a stream that ends at once", "ended before", answer("HTTP/1.0 200 OK\r\nContent-Type: application/x-mms-framed\r\n\r\n" + string(mmsh.AppendEnd(nil, 0)))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newFakeServer(t, handling(tc.handle))
			o := quick(s.url())
			o.Clients, o.Duration = 3, 50*time.Millisecond
			rep := mustRun(t, o)
			wantVerdict(t, rep, Fail)
			if why := strings.Join(rep.Reasons, "\n"); !strings.Contains(why, tc.want) || rep.Clients.Failed != 3 {
				t.Errorf("failed %d, reasons %q; want %q", rep.Clients.Failed, why, tc.want)
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	o := quick("mmsh://" + l.Addr().String() + "/x")
	o.Duration = 50 * time.Millisecond
	rep := mustRun(t, o)
	wantVerdict(t, rep, Fail)
	if rep.Failures["connection refused"] != 10 {
		t.Errorf("failures: %v", rep.Failures)
	}
}

func TestAServerThatNeverAnswers(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t, handling(func(c net.Conn, _ *http.Request) bool { io.Copy(io.Discard, c); return true }))
	o := quick(s.url())
	o.Clients, o.Duration, o.JoinTimeout = 3, 50*time.Millisecond, 200*time.Millisecond
	rep := mustRun(t, o)
	wantVerdict(t, rep, Fail)
	if rep.Failures["no answer within 200ms"] != 3 {
		t.Errorf("failures: %v", rep.Failures)
	}
}

func TestRedirectsAndPlaylistsAreFollowed(t *testing.T) {
	t.Parallel()
	real := newFakeServer(t)
	real.push(t, PushOptions{Rate: 500_000})
	for _, tc := range []struct{ name, answer string }{
		{"302", "HTTP/1.0 302 Found\r\nLocation: " + strings.Replace(real.url(), "mmsh:", "http:", 1) + "\r\nContent-Length: 0\r\n\r\n"},
		{"ASX", "HTTP/1.0 200 OK\r\nContent-Type: video/x-ms-asf\r\n\r\n<ASX version=\"3.0\"><ENTRY><REF HREF=\"" + real.url() + "\"/></ENTRY></ASX>"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			door := newFakeServer(t, handling(func(c net.Conn, _ *http.Request) bool { io.WriteString(c, tc.answer); return true }))
			wantVerdict(t, mustRun(t, quick(door.url())), Pass)
		})
	}
}

func TestWindowsLikeViewers(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	s.push(t, PushOptions{Rate: 500_000})
	o := quick(s.url())
	o.WMP, o.ID = true, "wmp-"
	rep := mustRun(t, o)
	wantVerdict(t, rep, Pass)
	for _, kind := range []string{"describe", "keepalive", "play", "log"} {
		if n := s.asked(kind); n != 10 {
			t.Errorf("%d times %s, want 10", n, kind)
		}
	}
}

func TestPlainASFViewers(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	s.push(t, PushOptions{Rate: 500_000})
	o := quick(s.url())
	o.Plain = true
	wantVerdict(t, mustRun(t, o), Pass)
	if s.asked("plain") != 10 {
		t.Errorf("%d requests for plain ASF", s.asked("plain"))
	}
}

func TestViewersNameThemselves(t *testing.T) {
	t.Parallel()
	names := make(chan string, 100)
	s := newFakeServer(t, handling(func(_ net.Conn, r *http.Request) bool { names <- r.UserAgent(); return false }))
	s.push(t, PushOptions{Rate: 500_000})
	o := quick(s.url())
	o.Clients, o.ID = 1, "room-"
	mustRun(t, o)
	close(names)
	for name := range names {
		if name == mmsh.AgentV9+" room-1" {
			return
		}
	}
	t.Error("no viewer called itself room-1")
}

func TestSlowViewersAreApart(t *testing.T) {
	t.Parallel()
	withEachReader(t, func(t *testing.T, reader string) {
		for _, bps := range []int{0, 50_000} {
			s := newFakeServer(t)
			s.push(t, PushOptions{Rate: 1_000_000})
			o := quick(s.url())
			o.Reader = reader
			o.Slow, o.SlowBPS = 0.3, bps
			rep := mustRun(t, o)
			wantVerdict(t, rep, Pass)
			if rep.Slow.Clients != 3 {
				t.Errorf("%d slow viewers of 10, want 3", rep.Slow.Clients)
			}
		}
	})
}

func TestChurningViewersComeBack(t *testing.T) {
	t.Parallel()
	withEachReader(t, func(t *testing.T, reader string) {
		s := newFakeServer(t)
		s.push(t, PushOptions{Rate: 500_000})
		o := quick(s.url())
		o.Reader, o.Churn = reader, 20
		rep := longEnough(time.Second, func(d time.Duration) *Report {
			o.Duration = d
			return mustRun(t, o)
		}, func(r *Report) bool { return r.Churned >= 10 && r.Join.Count >= 15 && r.Clients.AliveAtEnd == 10 })
		wantVerdict(t, rep, Pass)
		if rep.Churned < 10 || rep.Join.Count < 15 || rep.Clients.AliveAtEnd != 10 {
			t.Errorf("churned %d, joins %d, alive %d", rep.Churned, rep.Join.Count, rep.Clients.AliveAtEnd)
		}
	})
}

func TestViewersReconnectWhenTheStreamEnds(t *testing.T) {
	t.Parallel()
	withEachReader(t, func(t *testing.T, reader string) {
		rep := longEnough(2500*time.Millisecond, func(d time.Duration) *Report {
			s := newFakeServer(t, spoiling(func(v, n int, f []byte) [][]byte {
				if v < 5 && n == 5 {
					return nil
				}
				return [][]byte{f}
			}))
			s.push(t, PushOptions{Rate: 500_000})
			o := quick(s.url())
			o.Reader, o.Reconnect, o.Duration = reader, true, d
			return mustRun(t, o)
		}, func(r *Report) bool { return r.Rejoined >= 5 && r.Clients.AliveAtEnd == 10 })
		wantVerdict(t, rep, Pass)
		if rep.Rejoined != 5 || rep.Ended != 5 || rep.Clients.AliveAtEnd != 10 {
			t.Errorf("rejoined %d, ended %d, alive %d", rep.Rejoined, rep.Ended, rep.Clients.AliveAtEnd)
		}
	})
}

func TestPhasesGrowAndShrink(t *testing.T) {
	t.Parallel()
	withEachReader(t, func(t *testing.T, reader string) {
		s := newFakeServer(t)
		s.push(t, PushOptions{Rate: 500_000})
		o := Options{URLs: []string{s.url()}, Reader: reader, Phases: []Phase{
			{Name: "few", Clients: 4, Duration: 300 * time.Millisecond},
			{Name: "many", Clients: 12, Ramp: 100, Duration: 300 * time.Millisecond},
			{Name: "fewer", Clients: 5, Duration: 300 * time.Millisecond},
		}}
		rep := mustRun(t, o)
		wantVerdict(t, rep, Pass)
		var alive []int
		for _, p := range rep.Phases {
			alive = append(alive, p.Alive)
		}
		if fmt.Sprint(alive) != "[4 12 5]" || rep.Clients.Connected != 12 {
			t.Errorf("alive %v, connected %d", alive, rep.Clients.Connected)
		}
	})
}

func TestSeveralAddressesInTurn(t *testing.T) {
	t.Parallel()
	a, b := newFakeServer(t), newFakeServer(t)
	a.push(t, PushOptions{Rate: 500_000})
	b.push(t, PushOptions{Rate: 300_000})
	wantVerdict(t, mustRun(t, quick(a.url(), b.url())), Pass)
	if a.asked("play") != 5 || b.asked("play") != 5 {
		t.Errorf("%d and %d viewers, want 5 and 5", a.asked("play"), b.asked("play"))
	}
}

func TestAnInterruptedRunReports(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	s.push(t, PushOptions{Rate: 500_000})
	o := quick(s.url())
	o.Duration = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { // long after they have asked, measured by how long that took
		began := time.Now()
		for s.asked("play") < 10 && time.Since(began) < time.Minute {
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(max(500*time.Millisecond, 2*time.Since(began)))
		cancel()
	}()
	rep, err := Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if !rep.Interrupted || rep.Clients.AliveAtEnd != 10 {
		t.Errorf("interrupted %v, alive %d", rep.Interrupted, rep.Clients.AliveAtEnd)
	}
}

func TestProgressLines(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	s.push(t, PushOptions{Rate: 500_000})
	var out bytes.Buffer
	o := quick(s.url())
	o.Progress, o.LiveLine, o.LineWidth = &out, true, 60
	mustRun(t, o)
	if !strings.Contains(out.String(), "viewers") || !strings.HasSuffix(out.String(), "\r\x1b[K") {
		t.Errorf("progress: %q", out.String())
	}
}
