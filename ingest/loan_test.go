package ingest

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/ringbuf"
	"github.com/stream-pump/stream-pump/stream"
)

// hooked is a connection as the server hands it over.
type hooked struct {
	*net.TCPConn
	read func([]byte) (int, error)
}

func (h *hooked) OnRead(read func([]byte) (int, error)) { h.read = read }

func (h *hooked) Read(b []byte) (int, error) {
	if h.read != nil {
		return h.read(b)
	}
	return h.TCPConn.Read(b)
}

// passes stands for viewers whose next pass is always some time away, and is made by the test.
type passes struct{ woken atomic.Int32 }

func (p *passes) Wake()      { p.woken.Add(1) }
func (p *passes) Due() int64 { return stream.Monotonic() + int64(200*time.Millisecond) }
func (p *passes) Draws()     {}

// guests stand for viewers whose passes do not draw.
type guests struct{ passes }

func (g *guests) Draws(int) {} // not a Drawer's

// lending is a door whose connections can be read by passes.
type lending struct {
	*door
	conns chan *hooked
}

func newLending(t *testing.T, change ...func(*PushOptions)) *lending {
	t.Helper()
	d := &lending{door: newDoor(t, change...), conns: make(chan *hooked, 8)}
	d.addr = serve(t, func(ctx context.Context, conn net.Conn) {
		h := &hooked{TCPConn: conn.(*net.TCPConn)}
		d.conns <- h
		br := bufio.NewReader(h)
		if req, err := http.ReadRequest(br); err == nil {
			d.push.ServeConn(ctx, h, br, req)
		}
	})
	return d
}

// lent returns an encoder whose source is lent, two packets having been published, and the server's end.
func (d *lending) lent() (*encoder, *hooked) {
	d.t.Helper()
	e := d.dial()
	e.start("0", endless)
	e.send(pushBody(testHeader(320), packets(0, 2)...))
	d.slabs(2)
	d.isLent(true)
	return e, <-d.conns
}

func (d *lending) isLent(want bool) {
	d.t.Helper()
	worldtest.Eventually(d.t, fmt.Sprintf("the source being lent: %v", want), func() bool { return d.s.Lent() == want })
}

// drawn makes passes until n slabs were published since the last call.
func (d *lending) drawn(n int) []got {
	d.t.Helper()
	worldtest.Eventually(d.t, fmt.Sprintf("%d slabs to be drawn", n), func() bool {
		d.s.Draw()
		return d.s.Ring().Tail()-d.from >= uint64(n)
	})
	return d.take()
}

// gathered waits until so many bytes lie in a socket.
func gathered(t *testing.T, h *hooked, n int) {
	t.Helper()
	raw, err := h.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	worldtest.Eventually(t, fmt.Sprintf("%d bytes in the socket", n), func() bool {
		var have int
		_ = raw.Control(func(fd uintptr) { have, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
		return have >= n
	})
}

// While a source is lent its packets lie in the socket until a pass looks for them, which then gets all of them,
// also one that came in two halves.
func TestALentSourceIsReadByThePass(t *testing.T) {
	d := newLending(t)
	watching := &passes{}
	defer d.s.Subscribe(watching)()
	e, h := d.lent()
	if watching.woken.Load() == 0 {
		t.Error("no pass was called for when the source was lent")
	}
	list := packets(2, 5)
	body := pushData(list...)
	half := len(body) - 100
	e.send(body[:half])
	gathered(t, h, half)
	if n := len(d.take()); n != 0 {
		t.Fatalf("%d packets were published without a pass", n)
	}
	sameBytes(t, d.drawn(4), list[:4])
	d.s.Draw() // there is nothing, and half a packet is none
	if n := len(d.take()); n != 0 || !d.s.Lent() {
		t.Fatalf("%d packets published, lent: %v", n, d.s.Lent())
	}
	e.send(body[half:])
	sameBytes(t, d.drawn(1), list[4:])
}

// What is not a packet, and whatever ends a loan, is worked on by the source's own goroutine, whether there is another
// pass or not.
func TestALentSourceComesHome(t *testing.T) {
	other := testHeader(640)
	for name, c := range map[string]struct {
		do   func(t *testing.T, d *lending, e *encoder, stopWatching func())
		want func(t *testing.T, d *lending, e *encoder)
	}{
		"for a new header, and is lent again": {
			func(_ *testing.T, d *lending, e *encoder, _ func()) {
				e.send(pushChange(other), pushData(packets(5, 3)...))
			},
			func(t *testing.T, d *lending, e *encoder) {
				if list := d.drawn(2); list[0].Kind != ringbuf.Change {
					t.Errorf("the first slab is of kind %d", list[0].Kind)
				}
				d.isLent(true)
			},
		},
		"for the end of the stream": {
			func(_ *testing.T, d *lending, e *encoder, _ func()) {
				e.send(pushData(packets(2, 1)...), mmsh.AppendEnd(nil, 0))
			},
			func(t *testing.T, d *lending, e *encoder) {
				if list := d.drawn(2); list[1].Kind != ringbuf.End {
					t.Errorf("the last slab is of kind %d", list[1].Kind)
				}
				e.want(204)
				d.state(stream.Offline)
			},
		},
		"for the connection's end": {
			func(_ *testing.T, _ *lending, e *encoder, _ func()) { e.conn.Close() },
			func(t *testing.T, d *lending, _ *encoder) { d.state(stream.Connecting) },
		},
		"for a reset": {
			func(_ *testing.T, _ *lending, e *encoder, _ func()) {
				_ = e.conn.(*net.TCPConn).SetLinger(0)
				e.conn.Close()
			},
			func(t *testing.T, d *lending, _ *encoder) { d.state(stream.Connecting) },
		},
		"for garbage": {
			func(_ *testing.T, _ *lending, e *encoder, _ func()) {
				e.send([]byte("garbage, and more than a head of it"))
			},
			func(t *testing.T, d *lending, e *encoder) { e.want(400) },
		},
		"when the last viewer leaves": {
			func(_ *testing.T, d *lending, e *encoder, stopWatching func()) {
				stopWatching()
				e.send(pushData(packets(2, 3)...))
			},
			func(t *testing.T, d *lending, _ *encoder) { d.slabs(3) },
		},
		"when viewers come whose passes do not draw": {
			func(t *testing.T, d *lending, e *encoder, _ func()) {
				t.Cleanup(d.s.Subscribe(&guests{}))
				e.send(pushData(packets(2, 3)...))
			},
			func(t *testing.T, d *lending, _ *encoder) { d.slabs(3) },
		},
		"when nothing comes for a while, and waits": {
			func(t *testing.T, d *lending, e *encoder, _ func()) {
				worldtest.Eventually(t, "the source to come home", func() bool { d.s.Draw(); return !d.s.Lent() })
				e.send(pushData(packets(2, 1)...))
			},
			func(t *testing.T, d *lending, _ *encoder) { d.slabs(1) },
		},
		"when no pass is made any more": {
			func(_ *testing.T, d *lending, e *encoder, _ func()) { e.send(pushData(packets(2, 3)...)) },
			func(t *testing.T, d *lending, _ *encoder) { d.slabs(3) },
		},
		"when another source takes over": {
			func(t *testing.T, d *lending, _ *encoder, _ func()) {
				pub, err := d.s.Open(t.Context(), stream.Claim{Name: "another", TakeOver: true})
				if err != nil {
					t.Fatal(err)
				}
				pub.Lost()
			},
			func(t *testing.T, d *lending, e *encoder) { e.want(409) },
		},
		"when the stream is stopped": {
			func(_ *testing.T, d *lending, _ *encoder, _ func()) { d.s.Kick() },
			func(t *testing.T, d *lending, e *encoder) { e.want(409) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newLending(t)
			stop := sync.OnceFunc(d.s.Subscribe(&passes{}))
			defer stop()
			e, _ := d.lent()
			passing, over := context.WithCancel(t.Context())
			var pass sync.WaitGroup
			defer pass.Wait()
			defer over()
			if strings.HasPrefix(name, "for ") {
				pass.Go(func() {
					for passing.Err() == nil {
						d.s.Draw()
						time.Sleep(time.Millisecond)
					}
				})
			}
			c.do(t, d, e, stop)
			c.want(t, d, e)
		})
	}
}

// The idle time of an encoder is not longer because its source is lent.
func TestALentSourceThatIsSilentIsDropped(t *testing.T) {
	d := newLending(t, func(o *PushOptions) { o.IdleTimeout = 3 * time.Second })
	defer d.s.Subscribe(&passes{})()
	e, _ := d.lent()
	worldtest.Eventually(t, "the source to come home", func() bool { d.s.Draw(); return !d.s.Lent() })
	e.want(408)
}

// A pass reads no more than so much of one source, for it has others. The rest is read at home, without another pass.
func TestASourceThatSendsMuchIsReadAtHome(t *testing.T) {
	d := newLending(t)
	defer d.s.Subscribe(&passes{})()
	e, h := d.lent()
	list := packets(2, 2000) // 1 MB
	var sent sync.WaitGroup
	sent.Go(func() { e.send(pushData(list...)) })
	defer sent.Wait()
	gathered(t, h, loanBytes+4096)
	d.s.Draw()
	got := d.slabs(len(list) - 100)
	if n := len(list) - len(got); n > 0 {
		got = append(got, d.drawn(n)...)
	}
	sameBytes(t, got, list)
}

// A mistake of ours while a pass reads ends that source, and nothing else.
func TestAPanicInALoanEndsTheSource(t *testing.T) {
	d := newLending(t)
	defer d.s.Subscribe(&passes{})()
	e, _ := d.lent()
	d.push.times.Store(nil) // what is asked for every packet
	e.send(pushData(packets(2, 1)...))
	worldtest.Eventually(t, "the source to be gone", func() bool { d.s.Draw(); return d.s.State() != stream.Live })
	d.push.SetTimeouts(time.Minute, time.Minute, time.Minute)
	worldtest.Eventually(t, "the role to be free", func() bool { return d.s.Source() == "" })
}

// Two loops that draw from the same source at the same time, and a source that is asked for all the while, get every
// packet in order.
func TestLoansUnderStress(t *testing.T) {
	d := newLending(t, func(o *PushOptions) { o.Log = slog.New(slog.DiscardHandler) })
	defer d.s.Subscribe(&passes{})()
	e, _ := d.lent()
	const n = 3000
	list := packets(2, n)
	ctx, over := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer over()
	for range 2 {
		all.Go(func() {
			for ctx.Err() == nil {
				d.s.Draw()
				time.Sleep(10 * time.Microsecond)
			}
		})
	}
	all.Go(func() {
		for ctx.Err() == nil {
			d.s.Subscribe(&guests{})() // calls it home
			time.Sleep(300 * time.Microsecond)
		}
	})
	for i := 0; i < n; i += 7 {
		e.send(pushData(list[i:min(i+7, n)]...))
	}
	sameBytes(t, d.slabs(n), list)
}

// Bodies of every kind that a pass reads are the same as those that wait for it.
func TestBodiesAreReadByPasses(t *testing.T) {
	raw, list := testHeader(320), packets(0, 60)
	chunk := func(b []byte) string { return fmt.Sprintf("%x\r\n%s\r\n", len(b), b) }
	for name, c := range map[string]struct {
		head []string
		body func() (header string, packets []string)
	}{
		"a length": {[]string{"Content-Type: application/x-wms-pushstart", endless}, func() (string, []string) {
			return string(pushBody(raw)), cut(pushData(list...), 333)
		}},
		"until close": {[]string{"Content-Type: application/x-wms-pushstart"}, func() (string, []string) {
			return string(pushBody(raw)), cut(pushData(list...), 1400)
		}},
		"chunked, cut anywhere": {[]string{"Transfer-Encoding: chunked"}, func() (string, []string) {
			var out string
			for _, s := range cut(pullBody(raw, 0, list...)[len(pullBody(raw, 0)):], 700) {
				out += chunk([]byte(s))
			}
			return chunk(pullBody(raw, 0)), cut([]byte(out), 501)
		}},
		"plain ASF, chunked": {[]string{"Transfer-Encoding: chunked"}, func() (string, []string) {
			var out string
			for _, s := range cut(plainBody(raw, list...)[len(plainBody(raw)):], 777) {
				out += chunk([]byte(s))
			}
			return chunk(plainBody(raw)), cut([]byte(out), 613)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newLending(t)
			defer d.s.Subscribe(&passes{})()
			e := d.dial()
			e.request("POST", "/streams/x_push", c.head...)
			header, parts := c.body()
			e.send([]byte(header))
			for _, p := range parts[:10] {
				e.send([]byte(p))
			}
			d.isLent(true)
			for _, p := range parts[10:] {
				e.send([]byte(p))
				d.s.Draw()
			}
			sameBytes(t, d.drawn(len(list)), list)
		})
	}
}

// cut cuts b into pieces.
func cut(b []byte, size int) (list []string) {
	for len(b) > 0 {
		n := min(size, len(b))
		list = append(list, string(b[:n]))
		b = b[n:]
	}
	return list
}

// What a pass draws costs no allocation.
func TestADrawAllocatesNothing(t *testing.T) {
	d := newLending(t)
	defer d.s.Subscribe(&passes{})()
	e, _ := d.lent()
	const each, runs = 4, 50
	var bodies [][]byte
	for i := range runs + 1 {
		bodies = append(bodies, pushData(packets(2+i*each, each)...))
	}
	ring, next, want := d.s.Ring(), 0, d.s.Ring().Tail()
	// AllocsPerRun runs the function once more, to warm up.
	n := testing.AllocsPerRun(runs, func() {
		_, _ = e.conn.Write(bodies[next])
		next++
		want += each
		for end := time.Now().Add(time.Minute); ring.Tail() < want && time.Now().Before(end); {
			d.s.Draw()
		}
	})
	if n >= 1 {
		t.Errorf("%v allocations for %d packets, want 0", n, each)
	}
	if ring.Tail() != want {
		t.Errorf("%d packets are missing", want-ring.Tail())
	}
}
