package server

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/ringbuf"
)

// dialFrom connects to the plain door from another address of loopback.
func (w *world) dialFrom(ip string) *client {
	w.Helper()
	d := net.Dialer{Timeout: patience, LocalAddr: tcpAddr(ip, 0)}
	c, err := d.Dial("tcp", w.addr)
	if err != nil {
		w.Fatal(err)
	}
	return newClient(w.TB, c)
}

// heads waits until so many connections have a request that is not whole.
func (w *world) heads(what string, connections, heads int) {
	w.Helper()
	worldtest.Eventually(w.TB, what, func() bool {
		u := w.limits.Usage()
		return u.Connections == connections && u.Heads == heads
	})
}

// Until its first request is whole a connection counts among the unfinished heads, and again
// from each answer to the next request; not when it watches, pushes, sends a body, or has been
// answered. Whatever becomes of it, it is counted off once.
func TestWhoCountsAsAnUnfinishedHead(t *testing.T) {
	var (
		kept    = describe(newAgent, "Connection: Keep-Alive")
		pushing = strings.Replace(post("wait"), "/x ", "/x_push ", 1)
		asking  = to("/streams/slow", play(oldAgent)) // of the gate, which takes its time
	)
	for name, c := range map[string]struct {
		says     string
		answered bool
		heads    int
	}{
		"who says nothing":                  {"", false, 1},
		"half a head":                       {"GET /streams/x HTTP/1.0\r\nUser-Agent: ", false, 1},
		"blank lines before a request":      {"\r\n", false, 1},
		"who is between two requests":       {kept, true, 1},
		"the next one, begun":               {kept + "G", true, 1},
		"the next one, whole":               {kept + play(newAgent), true, 0},
		"who watches":                       {play(oldAgent), true, 0},
		"who watches plain ASF":             {to("/streams/x.asf", get(agent(webAgent))), true, 0},
		"who gets a page":                   {get(agent("Mozilla/5.0")), true, 0},
		"half a body":                       {strings.TrimSuffix(post("12345", "Content-Type: application/x-wms-LogStats"), "345"), false, 0},
		"an encoder":                        {pushing, false, 0},
		"a tunnel that is refused":          {ask("CONNECT example.org:80 HTTP/1.1"), true, 0},
		"a head that is none":               {"\x00", true, 0},
		"a head that is too large":          {"GET / HTTP/1.0\r\nX: " + strings.Repeat("x", 17<<10), true, 0},
		"a body that is too large":          {ask("POST /streams/x HTTP/1.0", "Content-Length: 70000"), true, 0},
		"who waits for the gate's decision": {asking, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			push := echoPush{make(chan struct{}), make(chan struct{})}
			decided := make(chan struct{})
			w := newWorld(t, plan{push: push, gate: &doorman{slow: true, enter: func(_ context.Context, v *Visit) (access.Pass, *access.Denial) {
				if v.Stream.Path() == "slow" {
					<-decided
				}
				return access.Pass{}, nil
			}}})
			w.onAir().send(1)
			slow := w.air(w.addStream("slow", ringbuf.Limits{}, 0))
			slow.send(1)
			for door, dial := range map[string]func() *client{"plain": w.dial, "TLS": w.dialTLS} {
				if c.says == pushing && door == "TLS" {
					continue // one at a time
				}
				v := dial()
				v.write(c.says)
				if c.answered {
					if _, err := v.readHead(); err != nil {
						t.Fatalf("%s: %v", door, err)
					}
					w.onLoops(func(l *loop) {
						for at := range l.conns {
							if at.heading && at.phase != readingHead {
								t.Errorf("%s: it counts in phase %d", door, at.phase)
							}
						}
					})
					worldtest.Eventually(t, door+": what counts", func() bool { return w.limits.Usage().Heads == c.heads })
				} else {
					w.heads(door+": what counts", 1, c.heads)
				}
				switch c.says {
				case pushing:
					w.shutdown() // which ends it
				case asking:
					decided <- struct{}{}
				}
				v.close()
				worldtest.Eventually(t, door+": nothing is left", func() bool { return w.limits.Usage() == access.Usage{} })
			}
		})
	}
	t.Run("half a handshake", func(t *testing.T) {
		w := newWorld(t, plan{})
		w.serveTLS()
		for _, more := range []string{"\x16\x03\x01\x02", "\x16\x03\x01\x00\x04\x01\x00\x00\x00"} { // unfinished; refused
			c, err := net.Dial("tcp", w.tlsA)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(c, more[:4])
			w.heads("it counts", 1, 1)
			_, _ = io.WriteString(c, more[4:])
			_ = c.Close()
			w.heads("nothing is left", 0, 0)
		}
	})
}

// One that is unfinished when its term is over, or when the server is told to end, is counted off.
func TestUnfinishedHeadsWhoseTermIsOver(t *testing.T) {
	w := newWorld(t, plan{})
	half, silent, kept := w.dial(), w.dial(), w.dial()
	half.write("GET / HT")
	kept.ask(ask("OPTIONS * HTTP/1.1"))
	w.heads("all of them count", 3, 3)
	w.srv.Shut()
	kept.write("GET / HT")
	w.heads("they do when nobody is accepted any more", 3, 3)
	w.elapse(never)
	for _, c := range []*client{half, kept} {
		if r := c.reply(); r.status != 408 {
			t.Errorf("%d, want 408", r.status)
		}
	}
	worldtest.Eventually(t, "none counts", func() bool { return w.limits.Usage().Heads == 0 })
	silent.gone()
}

// An address that has as many as it may is told so, at both doors; others are served, and it too
// is once one of its heads is whole. Who has got an answer and may not wait for another request
// has to come anew.
func TestUnfinishedHeadsOfAnAddress(t *testing.T) {
	for door, dial := range ways {
		t.Run(door, func(t *testing.T) {
			bounds := access.Bounds{HeadsPerAddress: 2}
			w := newWorld(t, plan{bounds: bounds})
			w.serveTLS()
			e := w.onAir()
			e.send(1)
			options := ask("OPTIONS * HTTP/1.1")
			kept, silent := dial(w, 0), w.dial()
			kept.ask(options)
			kept.ask(options)
			w.heads("both count", 2, 2)
			conn, err := dialBuffer(map[string]string{"plain": w.addr, "TLS": w.tlsA}[door], 0)
			if err != nil {
				t.Fatal(err)
			}
			if r := newClient(t, conn).reply(); r.status != 503 || !strings.Contains(string(r.body), "unfinished_heads_per_address") {
				t.Errorf("%d %q, want 503 and the name of the limit", r.status, r.body)
			}
			if got := w.limits.Refused(access.LimitAddressHeads); got != 1 {
				t.Errorf("%d refusals are counted, want 1", got)
			}
			w.dialFrom("127.0.0.9").watch(e, play(oldAgent))
			bounds.HeadsPerAddress = 1
			w.limits.SetBounds(bounds)
			if r := kept.ask(options); r.status != 200 {
				t.Errorf("who is there is answered %d", r.status)
			}
			kept.ended()
			silent.watch(e, play(oldAgent)) // its head is whole
			dial(w, 0).watch(e, play(newAgent))
		})
	}
}

// Who comes by way of a proxy has the bound of his own address, and the proxy's connections that
// have not said whose they are have none.
func TestUnfinishedHeadsBehindAProxy(t *testing.T) {
	w, _ := behindProxy(t, plan{bounds: access.Bounds{HeadsPerAddress: 1}}, loopback)
	e := w.onAir()
	e.send(1)
	for range 3 {
		w.dial()
	}
	w.heads("they count, towards no address", 3, 3)
	first, second, third := w.dial(), w.dial(), w.dial()
	first.write(proxy4)
	worldtest.Eventually(t, "it counts towards its address", func() bool { return w.limits.BusiestAddresses(0).Heads == 1 })
	second.write(proxyV24) // of the same address
	if r := second.reply(); r.status != 503 || !strings.Contains(string(r.body), "unfinished_heads_per_address") {
		t.Errorf("%d %q", r.status, r.body)
	}
	third.write(proxy6)
	third.watch(e, play(oldAgent))
	first.watch(e, play(oldAgent))
}

// Ten thousand connections of one address that ask nothing leave room for everybody else,
// though there are no more places than that.
func TestIdleCrowdOfOneAddress(t *testing.T) {
	if testing.Short() {
		t.Skip("takes its time; left out with -short")
	}
	n := crowdOf(t)
	s := startIdleServer(t, access.Bounds{Connections: n, HeadsPerAddress: n / 2})
	w := &world{TB: t, addr: s.addr}
	watching := w.dialFrom("127.0.0.8").tape(play(oldAgent))
	watching.awaitPacket(t, 1)
	crowd := s.crowd(n, 1)
	defer func() {
		for _, c := range crowd {
			if c != nil {
				_ = c.Close()
			}
		}
	}()
	worldtest.Eventually(t, "as many are there as may be", func() bool { return s.now().awaited == n/2 })
	for _, c := range crowd[n-20:] {
		b := make([]byte, 512)
		_ = c.SetReadDeadline(time.Now().Add(patience))
		if _, err := c.Read(b); !strings.HasPrefix(string(b), "HTTP/1.0 503 ") && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("one of the last who came is told %q, %v", b, err)
		}
	}
	w.dialFrom("127.0.0.9").tape(play(newAgent)).awaitPacket(t, 1)
	seen := watching.now()
	watching.awaitPacket(t, seen.last.number+10)
	if at := watching.now(); at.missing > 0 {
		t.Errorf("%d packets are missing", at.missing)
	}
}
