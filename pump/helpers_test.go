package pump

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/internal/acmetest"
	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/mmsh"
)

// The two goroutines are those of a pool that a dependency makes when it is loaded.
func TestMain(m *testing.M) {
	acmetest.Serve()
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1"), // of the store of a house
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.(*RingBufferRateLimiter).loop"), // one an authority, for good
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"))             // looks after a lock that is released
}

// patience is how long anything in these tests may take.
const patience = time.Minute

// local is in front of every configuration: free ports of loopback.
const local = "listen: [127.0.0.1:0]\nadmin: {listen: 127.0.0.1:0}\n"

const card = "streams: [{path: card, type: test_card, name: Card}]\n"

// world is a running pump with its log and the configuration that a reload will find.
type world struct {
	testing.TB
	*Pump
	log     *worldtest.Log
	signals chan os.Signal
	ended   chan error // what run returned

	mu   sync.Mutex
	file string
}

func parse(t testing.TB, text string) *config.Config {
	t.Helper()
	cfg, err := config.Parse("pump.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// newWorld runs a pump until the end of the test.
func newWorld(t testing.TB, text string) *world {
	t.Helper()
	return newWorldLogging(t, text, func(to *worldtest.Log, level *slog.LevelVar) *slog.Logger {
		return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: level}))
	})
}

// newWorldLogging is newWorld with another log.
func newWorldLogging(t testing.TB, text string, logger func(*worldtest.Log, *slog.LevelVar) *slog.Logger) *world {
	t.Helper()
	return startWorld(t, local+text, logger)
}

// newWorldOf is newWorld with a whole file of settings.
func newWorldOf(t testing.TB, file string) *world {
	t.Helper()
	return startWorld(t, file, func(to *worldtest.Log, level *slog.LevelVar) *slog.Logger {
		return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: level}))
	})
}

// newWorldWith is newWorldOf with other options.
func newWorldWith(t testing.TB, file string, change func(*Options)) *world {
	t.Helper()
	return startWorld(t, file, func(to *worldtest.Log, level *slog.LevelVar) *slog.Logger {
		return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: level}))
	}, change)
}

func startWorld(t testing.TB, file string, logger func(*worldtest.Log, *slog.LevelVar) *slog.Logger, change ...func(*Options)) *world {
	t.Helper()
	w := &world{TB: t, log: &worldtest.Log{}, signals: make(chan os.Signal, 4), ended: make(chan error, 1), file: file}
	level := new(slog.LevelVar)
	o := Options{
		Log: logger(w.log, level), Level: level,
		Signals: w.signals, Load: w.load, Version: "test",
	}
	for _, f := range change {
		f(&o)
	}
	p, err := Start(parse(t, w.file), o)
	if err != nil {
		t.Fatal(err)
	}
	w.Pump = p
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { w.ended <- p.run(ctx) })
	t.Cleanup(func() {
		cancel()
		done.Wait()
		http.DefaultClient.CloseIdleConnections()
		if n := p.pool.Live(); n != 0 {
			t.Errorf("%d packets are still held after the end", n)
		}
		if t.Failed() {
			t.Log(w.log)
		}
	})
	return w
}

func (w *world) load() (*config.Config, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return config.Parse("pump.yaml", []byte(w.file), nil)
}

// rewrite changes the configuration file.
func (w *world) rewrite(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.file = local + text
}

// eventually waits until a condition holds.
func (w *world) eventually(what string, holds func() bool) {
	w.Helper()
	end := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(end) {
			w.Fatalf("not within %v: %s\n%s", patience, what, w.log)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// awaitLive waits until a stream delivers.
func (w *world) awaitLive(path string) {
	w.Helper()
	w.eventually(path+" is live", func() bool {
		st := w.registry.Lookup(path)
		if st == nil || !st.State().Delivering() || st.Header() == nil {
			return false
		}
		_, open := gatekeeper{w.Pump}.gate(st) // last of all, when it was just added
		return open
	})
}

// ended waits for the end of the pump.
func (w *world) awaitEnd() error {
	w.Helper()
	select {
	case err := <-w.ended:
		return err
	case <-time.After(patience):
		w.Fatalf("the pump has not ended\n%s", w.log)
		return nil
	}
}

// answer is what the admin port said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) decode(t testing.TB, into any) {
	t.Helper()
	if err := json.Unmarshal(a.body, into); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
}

// ask sends a request to the admin port; header lines are "Name: value".
func (w *world) ask(method, path string, header ...string) answer {
	w.Helper()
	return w.askAt("http://"+w.AdminAddr().String()+path, method, header...)
}

func (w *world) askAt(url, method string, header ...string) answer {
	w.Helper()
	return w.askWith(url, method, "", header...)
}

// askWith is askAt with a body.
func (w *world) askWith(url, method, body string, header ...string) answer {
	w.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	req.Close = true
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			req.Host = value
		}
		req.Header.Set(name, value)
	}
	client := http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	said, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		w.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, said}
}

// viewer plays a stream.
type viewer struct {
	testing.TB
	conn   net.Conn
	br     *bufio.Reader
	status int
	dec    *mmsh.Decoder
}

// play asks for a stream like an old player and reads the head of the answer.
func (w *world) play(path string) *viewer { w.Helper(); return w.playAs(path, mmsh.AgentOld) }

func (w *world) playAs(path, agent string) *viewer {
	w.Helper()
	conn, err := net.Dial("tcp", w.Addr().String())
	if err != nil {
		w.Fatal(err)
	}
	return playOn(w.TB, conn, path, agent)
}

// playWith is play with more lines in the head of the request.
func (w *world) playWith(path string, lines ...string) *viewer {
	w.Helper()
	conn, err := net.Dial("tcp", w.Addr().String())
	if err != nil {
		w.Fatal(err)
	}
	return playOn(w.TB, conn, path, mmsh.AgentOld, lines...)
}

func playOn(t testing.TB, conn net.Conn, path, agent string, lines ...string) *viewer {
	t.Helper()
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	req := mmsh.AppendPlayRequest(nil, mmsh.ClientParams{Path: "/streams/" + path, Host: "pump", Agent: agent})
	for _, l := range lines {
		req = append(req[:len(req)-2], l+"\r\n\r\n"...)
	}
	if _, err := conn.Write(req); err != nil {
		t.Fatal(err)
	}
	v := &viewer{TB: t, conn: conn, br: bufio.NewReader(conn), dec: mmsh.NewDecoder(mmsh.PullFraming, mmsh.Pull)}
	resp, err := http.ReadResponse(v.br, nil)
	if err != nil {
		t.Fatal(err)
	}
	v.status, v.br = resp.StatusCode, bufio.NewReader(resp.Body)
	return v
}

// next returns the next event of the body, its payload read.
func (v *viewer) next() (mmsh.Event, error) {
	_ = v.conn.SetDeadline(time.Now().Add(patience))
	for {
		if _, err := io.ReadFull(v.br, v.dec.Buffer()); err != nil {
			return mmsh.Event{}, err
		}
		ev, err := v.dec.Next()
		if err != nil {
			return ev, err
		}
		if _, err := v.br.Discard(ev.Length); err != nil {
			return ev, err
		}
		if ev.Kind != mmsh.None {
			return ev, nil
		}
	}
}

// packets reads until n packets have come.
func (v *viewer) packets(n int) {
	v.Helper()
	for n > 0 {
		ev, err := v.next()
		if err != nil {
			v.Fatalf("%d packets before the one wanted: %v", n, err)
		}
		if ev.Kind == mmsh.Packet {
			n--
		}
	}
}

// end reads until the stream ends in order, and then the connection.
func (v *viewer) end() {
	v.Helper()
	for {
		ev, err := v.next()
		if err != nil {
			v.Fatalf("no end packet before %v", err)
		}
		if ev.Kind == mmsh.End {
			if ev.Reason != mmsh.ReasonEnd {
				v.Errorf("reason of the end is %d, want 0", ev.Reason)
			}
			break
		}
	}
	if _, err := v.next(); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		v.Errorf("behind the end: %v, want the end of the connection", err)
	}
}

// broken reads until the connection is cut.
func (v *viewer) broken() {
	v.Helper()
	for {
		if ev, err := v.next(); err != nil {
			return
		} else if ev.Kind == mmsh.End {
			v.Fatal("the stream ended in order; the viewer was to be cut off")
		}
	}
}
