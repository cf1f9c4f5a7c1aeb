package pump

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/internal/worldtest"
)

// overseer is a service manager: what a pump tells, message by message.
type overseer struct {
	testing.TB
	conn *net.UnixConn
}

func newOverseer(t *testing.T, watchdog time.Duration) *overseer {
	t.Helper()
	address := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", address)
	t.Setenv("WATCHDOG_USEC", "")
	if watchdog > 0 {
		t.Setenv("WATCHDOG_USEC", strconv.FormatInt(watchdog.Microseconds(), 10))
	}
	return &overseer{t, conn}
}

// hears returns the next message, false when there is none within the time.
func (o *overseer) hears(within time.Duration) (string, bool) {
	o.Helper()
	b := make([]byte, 4096)
	_ = o.conn.SetReadDeadline(time.Now().Add(within))
	n, err := o.conn.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "", false
	}
	if err != nil {
		o.Fatal(err)
	}
	return string(b[:n]), true
}

// awaits reads messages until one matches.
func (o *overseer) awaits(pattern string) string {
	o.Helper()
	form := regexp.MustCompile(pattern)
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if m, ok := o.hears(time.Until(end)); ok && form.MatchString(m) {
			return m
		}
	}
	o.Fatalf("the service manager was not told %s", pattern)
	return ""
}

// runWorld runs a pump as the program does, under whatever the environment says.
func runWorld(t *testing.T, text string, handler func(slog.Handler) slog.Handler) *world {
	t.Helper()
	w := &world{TB: t, log: &worldtest.Log{}, signals: make(chan os.Signal, 4), ended: make(chan error, 1), file: local + text}
	started := make(chan *Pump, 1)
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		w.ended <- Run(ctx, parse(t, w.file), Options{
			Log:     slog.New(handler(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))),
			Signals: w.signals, Load: w.load, Version: "test", Ready: func(p *Pump) { started <- p },
		})
	})
	t.Cleanup(func() {
		cancel()
		done.Wait()
		if t.Failed() {
			t.Log(w.log)
		}
	})
	select {
	case w.Pump = <-started:
	case err := <-w.ended:
		t.Fatal(err)
	}
	return w
}

func asIs(h slog.Handler) slog.Handler { return h }

// The service manager is told when the pump serves, reads its configuration and ends.
func TestWhatTheServiceManagerIsTold(t *testing.T) {
	o := newOverseer(t, 0)
	w := runWorld(t, card, asIs)
	if m, _ := o.hears(patience); !strings.HasPrefix(m, "READY=1\nSTATUS=0 viewers, ") {
		t.Errorf("the first word is %q", m)
	}

	w.signals <- syscall.SIGHUP
	o.awaits(`^RELOADING=1\nMONOTONIC_USEC=\d+$`)
	if m := o.awaits(`^READY=1\nSTATUS=`); strings.Contains(m, "refused") {
		t.Errorf("a reload without changes: %q", m)
	}
	w.rewrite("ring: {packets: 1}\n" + card)
	if a := w.ask("POST", "/api/v1/reload"); a.status != 422 {
		t.Errorf("a wrong configuration is answered %d", a.status)
	}
	o.awaits(`^RELOADING=1\n`)
	o.awaits(`^READY=1\nSTATUS=.*; the last reload was refused, the log says why$`)

	w.signals <- syscall.SIGTERM
	o.awaits(`^STOPPING=1\nSTATUS=stopping: terminated\nEXTEND_TIMEOUT_USEC=15000000$`)
	if err := w.awaitEnd(); err != nil {
		t.Error(err)
	}
	if m, ok := o.hears(10 * time.Millisecond); ok {
		t.Errorf("told after the end: %q", m)
	}
}

// A pump that cannot start says so where the operator looks first.
func TestTheServiceManagerIsToldWhyThereIsNoPump(t *testing.T) {
	o := newOverseer(t, 0)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	cfg := parse(t, "listen: ['"+taken.Addr().String()+"']\nadmin: 'off'\nstreams: []\n")
	if err := Run(t.Context(), cfg, Options{}); err == nil {
		t.Fatal("it runs")
	}
	o.awaits(`^STATUS=not started: listening on .*: address already in use`)
}

// hanger is a log that hangs when it is to note that a viewer has left, which it does on the
// viewer's event loop: a disk that does not come back.
type hanger struct {
	slog.Handler
	hangs atomic.Bool
	hung  chan struct{} // gets one when it hangs
	free  chan struct{} // closed: go on
}

func (h *hanger) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "viewer left" && h.hangs.Swap(false) {
		h.hung <- struct{}{}
		<-h.free
	}
	return h.Handler.Handle(ctx, r)
}

// The watchdog is patted while all event loops turn. One that hangs, though all the rest of
// the program runs, stops it.
func TestAHungLoopIsNotHidden(t *testing.T) {
	const watchdog = 300 * time.Millisecond
	o := newOverseer(t, watchdog)
	h := &hanger{hung: make(chan struct{}, 1), free: make(chan struct{})}
	w := runWorld(t, card, func(inner slog.Handler) slog.Handler { h.Handler = inner; return h })
	release := sync.OnceFunc(func() { close(h.free) })
	t.Cleanup(release) // before the pump ends, which a hung loop would hold up
	w.awaitLive("card")
	for range 3 {
		o.awaits(`^WATCHDOG=1$`)
	}

	h.hangs.Store(true)
	v := w.play("card")
	v.packets(1)
	_ = v.conn.Close()
	<-h.hung
	w.eventually("the hung loop is noticed", func() bool {
		return strings.Contains(w.log.String(), "the watchdog is not told that all is well") &&
			strings.Contains(w.log.String(), "event loop 0 does not turn")
	})
	for { // what was told before
		if _, ok := o.hears(time.Millisecond); !ok {
			break
		}
	}
	for end := time.Now().Add(2 * watchdog); time.Now().Before(end); {
		if m, ok := o.hears(time.Until(end)); ok && strings.Contains(m, "WATCHDOG=1") {
			t.Fatal("the watchdog was patted while a loop hung")
		}
	}

	release()
	o.awaits(`^WATCHDOG=1$`)
}

// Sockets for doors that are not there, and names that are no doors, end the pump before it
// serves.
func TestGivenSocketsThatFitNoDoor(t *testing.T) {
	given := func(kind string) *sockets {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ln.Close() })
		return &sockets{inherited: []socket{{Kind: kind, Address: ln.Addr().String(), Given: true, ln: ln.(*net.TCPListener)}}}
	}
	for kind, c := range map[string]struct{ text, want string }{
		tlsDoor:   {"listen: [127.0.0.1:0]\nadmin: 'off'\nstreams: []\n", "for TLS, and ssl is off"},
		adminDoor: {"listen: [127.0.0.1:0]\nadmin: 'off'\nstreams: []\n", "for operators, and admin.listen is off"},
	} {
		s := given(kind)
		_, err := start(parse(t, c.text), Options{}, s)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", kind, err, c.want)
		}
		if len(s.inherited) != 0 {
			t.Errorf("%s: the socket is left open", kind)
		}
	}
}

// A given socket takes the place of every configured one of its door, and only of those.
func TestGivenSocketsTakeTheDoorsPlace(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &sockets{inherited: []socket{{Kind: publicDoor, Address: ln.Addr().String(), Given: true, ln: ln.(*net.TCPListener)}}}
	cfg, err := config.Parse("pump.yaml", []byte("listen: [127.0.0.1:0, 127.0.0.2:0]\nadmin: {listen: 127.0.0.1:0}\nstreams: []\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := start(cfg, Options{}, s)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Stop(t.Context()) }()
	if len(s.open) != 2 || p.Addr().String() != ln.Addr().String() || p.AdminAddr() == nil {
		t.Errorf("open are %+v", s.open)
	}
}
