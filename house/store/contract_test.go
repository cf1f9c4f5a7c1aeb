package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The server's and its libraries' own, which end with the program.
		goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server.init.0.func1"),
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*Server).handleSignals.func1"),
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1"),
	)
}

// Every kind of store is held to the same contract.
func TestContract(t *testing.T) {
	kinds := map[string]func(t *testing.T) Store{
		"memory":   func(*testing.T) Store { return NewMemory(nil) },
		"embedded": func(t *testing.T) Store { return open(t, Options{Name: "a", Dir: t.TempDir()}) },
		"existing": func(t *testing.T) Store { return open(t, Options{Name: "a", URLs: []string{newExisting(t).url()}}) },
		"cluster":  func(t *testing.T) Store { return openCluster(t, 3)[1] },
	}
	for kind, make := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel() // most of the time is waiting for leases to end
			s := make(t)
			t.Cleanup(func() { _ = s.Close() })
			suite(t, s)
		})
	}
}

func open(t *testing.T, o Options) Store {
	t.Helper()
	if o.Prefix == "" {
		o.Prefix = "test"
	}
	if o.Replicas == 0 {
		o.Replicas = 1
	}
	s, err := Open(within(t, 60*time.Second), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// existing is a NATS server that is not the house's, and that can go away for a while.
type existing struct {
	t      *testing.T
	dir    string
	port   int
	server *server.Server
}

func newExisting(t *testing.T) *existing {
	t.Helper()
	e := &existing{t: t, dir: t.TempDir(), port: server.RANDOM_PORT}
	e.start()
	t.Cleanup(e.stop)
	return e
}

func (e *existing) start() {
	e.t.Helper()
	s, err := server.NewServer(&server.Options{
		ServerName: "existing", Host: "127.0.0.1", Port: e.port, JetStream: true, StoreDir: e.dir, SyncAlways: true, NoSigs: true, NoLog: true,
	})
	if err != nil {
		e.t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		e.t.Fatal("not ready")
	}
	e.server, e.port = s, s.Addr().(*net.TCPAddr).Port
}

func (e *existing) stop() {
	e.server.Shutdown()
	e.server.WaitForShutdown()
}

func (e *existing) url() string { return e.server.ClientURL() }

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func suite(t *testing.T, s Store) {
	tests := []struct {
		rule string
		test func(*testing.T, Store)
	}{
		{"what was put is there", putAndGet},
		{"a put that is based on an old revision is refused", changed},
		{"what was deleted is not there, and can be put again", deleted},
		{"of many who put at once exactly one gets through", race},
		{"wrong keys and values are refused", wrong},
		{"a watch yields what is there, then what changes", watch},
		{"a watch yields its prefix alone", watchPrefix},
		{"a watch ends with its context", watchEnds},
		{"one holds a lease, until it is released", lease},
		{"a lease that is not renewed ends", leaseEnds},
		{"words go to whoever listens", words},
		{"a request is answered, or nobody is there", requests},
	}
	for _, x := range tests {
		t.Run(x.rule, func(t *testing.T) { x.test(t, s) })
	}
}

func putAndGet(t *testing.T, s Store) {
	ctx := within(t, 20*time.Second)
	if _, err := s.Get(ctx, "a.none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("none: %v", err)
	}
	first, err := s.Put(ctx, "a.x", []byte("one"), Absent)
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.Put(ctx, "a.x", []byte("two"), first)
	if err != nil || second <= first {
		t.Fatalf("%d after %d, %v", second, first, err)
	}
	e, err := s.Get(ctx, "a.x")
	if err != nil || string(e.Value) != "two" || e.Revision != second || e.Key != "a.x" {
		t.Errorf("%+v, %v", e, err)
	}
	big := bytes.Repeat([]byte("x"), MaxValue)
	if _, err := s.Put(ctx, "a.big", big, Any); err != nil {
		t.Error(err)
	}
	if e, err := s.Get(ctx, "a.big"); err != nil || !bytes.Equal(e.Value, big) {
		t.Errorf("%d bytes, %v", len(e.Value), err)
	}
	if _, err := s.Put(ctx, "a.empty", nil, Any); err != nil {
		t.Error(err)
	}
	if e, err := s.Get(ctx, "a.empty"); err != nil || len(e.Value) != 0 {
		t.Errorf("%+v, %v", e, err)
	}
}

func changed(t *testing.T, s Store) {
	ctx := within(t, 20*time.Second)
	r, err := s.Put(ctx, "c.x", []byte("one"), Any)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(ctx, "c.x", []byte("two"), Absent); !errors.Is(err, ErrChanged) {
		t.Errorf("put where nothing should be: %v", err)
	}
	if _, err := s.Put(ctx, "c.x", []byte("two"), r+1000); !errors.Is(err, ErrChanged) {
		t.Errorf("put with a revision of the future: %v", err)
	}
	if _, err := s.Put(ctx, "c.none", []byte("two"), r); !errors.Is(err, ErrChanged) {
		t.Errorf("put of what is not there: %v", err)
	}
	if _, err := s.Put(ctx, "c.x", []byte("two"), r); err != nil {
		t.Error(err)
	}
	if _, err := s.Put(ctx, "c.x", []byte("three"), r); !errors.Is(err, ErrChanged) {
		t.Errorf("put with an old revision: %v", err)
	}
	if err := s.Delete(ctx, "c.x", r); !errors.Is(err, ErrChanged) {
		t.Errorf("deleted with an old revision: %v", err)
	}
	if e, err := s.Get(ctx, "c.x"); err != nil || string(e.Value) != "two" {
		t.Errorf("%+v, %v", e, err)
	}
}

func deleted(t *testing.T, s Store) {
	ctx := within(t, 20*time.Second)
	r, err := s.Put(ctx, "d.x", []byte("one"), Absent)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(ctx, "d.x", r); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(ctx, "d.x"); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted: %v", err)
	}
	if err := s.Delete(ctx, "d.x", Any); err != nil {
		t.Errorf("once more: %v", err)
	}
	if _, err := s.Put(ctx, "d.x", []byte("two"), Absent); err != nil {
		t.Errorf("again: %v", err)
	}
	if e, err := s.Get(ctx, "d.x"); err != nil || string(e.Value) != "two" {
		t.Errorf("%+v, %v", e, err)
	}
}

func race(t *testing.T, s Store) {
	ctx := within(t, 30*time.Second)
	r, err := s.Put(ctx, "r.x", nil, Any)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		all.Go(func() { _, errs[i] = s.Put(ctx, "r.x", []byte(fmt.Sprint(i)), r) })
	}
	all.Wait()
	through := -1
	for i, err := range errs {
		switch {
		case err == nil && through < 0:
			through = i
		case err == nil:
			t.Error("two got through")
		case !errors.Is(err, ErrChanged):
			t.Error(err)
		}
	}
	if e, err := s.Get(ctx, "r.x"); err != nil || string(e.Value) != fmt.Sprint(through) {
		t.Errorf("%d got through, but %+v, %v", through, e, err)
	}
}

func wrong(t *testing.T, s Store) {
	ctx := within(t, 20*time.Second)
	for _, key := range []string{"", ".", "a.", ".a", "a..b", "a b", "a*", "a.>", "ä", "a/b", string(bytes.Repeat([]byte("a"), 300))} {
		if _, err := s.Put(ctx, key, nil, Any); !errors.Is(err, ErrKey) {
			t.Errorf("put %.10q: %v", key, err)
		}
		if _, err := s.Get(ctx, key); !errors.Is(err, ErrKey) {
			t.Errorf("got %.10q: %v", key, err)
		}
		if err := s.Delete(ctx, key, Any); !errors.Is(err, ErrKey) {
			t.Errorf("deleted %.10q: %v", key, err)
		}
	}
	if _, err := s.Put(ctx, "w.x", make([]byte, MaxValue+1), Any); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	if _, err := s.Watch(ctx, "w"); !errors.Is(err, ErrKey) {
		t.Errorf("a prefix without a dot: %v", err)
	}
}

// next returns the next change, or fails.
func next(t *testing.T, w *Watch) Change {
	t.Helper()
	select {
	case c, open := <-w.C:
		if !open {
			t.Fatal("the watch has ended")
		}
		return c
	case <-time.After(30 * time.Second):
		t.Fatal("the watch is silent")
	}
	return Change{}
}

func watch(t *testing.T, s Store) {
	ctx := within(t, 60*time.Second)
	put := func(key, value string) uint64 {
		r, err := s.Put(ctx, key, []byte(value), Any)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	put("v.a", "1")
	put("v.b", "1")
	put("v.gone", "1")
	if err := s.Delete(ctx, "v.gone", Any); err != nil {
		t.Fatal(err)
	}
	put("v.a", "2")
	w, err := s.Watch(ctx, "v.")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]string{}
	for c := next(t, w); !c.Whole; c = next(t, w) {
		if c.Deleted {
			t.Errorf("what is there is %+v", c)
		}
		there[c.Key] = string(c.Value)
	}
	if fmt.Sprint(there) != "map[v.a:2 v.b:1]" {
		t.Errorf("what is there is %v", there)
	}
	r := put("v.c", "3")
	if c := next(t, w); c.Key != "v.c" || string(c.Value) != "3" || c.Revision != r || c.Whole || c.Deleted {
		t.Errorf("%+v", c)
	}
	if err := s.Delete(ctx, "v.a", Any); err != nil {
		t.Fatal(err)
	}
	if c := next(t, w); c.Key != "v.a" || !c.Deleted || c.Value != nil {
		t.Errorf("%+v", c)
	}
}

func watchPrefix(t *testing.T, s Store) {
	ctx := within(t, 60*time.Second)
	w, err := s.Watch(ctx, "p.x.")
	if err != nil {
		t.Fatal(err)
	}
	if c := next(t, w); !c.Whole {
		t.Errorf("%+v", c)
	}
	for _, key := range []string{"p.y.a", "p.xx.a", "p.x", "p.x.a.b"} {
		if _, err := s.Put(ctx, key, nil, Any); err != nil {
			t.Fatal(err)
		}
	}
	if c := next(t, w); c.Key != "p.x.a.b" {
		t.Errorf("%+v", c)
	}
}

func watchEnds(t *testing.T, s Store) {
	ctx, cancel := context.WithCancel(t.Context())
	w, err := s.Watch(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for {
		select {
		case _, open := <-w.C:
			if !open {
				return
			}
		case <-time.After(30 * time.Second):
			t.Fatal("it does not end")
		}
	}
}

func lease(t *testing.T, s Store) {
	ctx := within(t, 60*time.Second)
	l, err := s.Acquire(ctx, "leader", []byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Acquire(ctx, "leader", []byte("b")); !errors.Is(err, ErrHeld) {
		t.Errorf("a second one: %v", err)
	}
	other, err := s.Acquire(ctx, "house.b", []byte("b"))
	if err != nil {
		t.Fatal(err)
	}
	if list, err := s.Leases(ctx); err != nil || len(list) != 2 || string(list["leader"]) != "a" || string(list["house.b"]) != "b" {
		t.Errorf("%q, %v", list, err)
	}
	for range 3 {
		if err := l.Renew(ctx); err != nil {
			t.Error(err)
		}
	}
	if err := l.Release(ctx); err != nil {
		t.Error(err)
	}
	if err := other.Release(ctx); err != nil {
		t.Error(err)
	}
	if err := l.Renew(ctx); !errors.Is(err, ErrHeld) {
		t.Errorf("renewed after it was given back: %v", err)
	}
	again, err := s.Acquire(ctx, "leader", []byte("b"))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Renew(ctx); !errors.Is(err, ErrHeld) {
		t.Errorf("renewed while another one holds it: %v", err)
	}
	if err := again.Release(ctx); err != nil {
		t.Error(err)
	}
	if list, err := s.Leases(ctx); err != nil || len(list) != 0 {
		t.Errorf("%q, %v", list, err)
	}
}

func leaseEnds(t *testing.T, s Store) {
	ctx := within(t, 60*time.Second)
	l, err := s.Acquire(ctx, "short", []byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for {
		other, err := s.Acquire(ctx, "short", []byte("b"))
		if err == nil {
			if took := time.Since(began); took < LeaseFor-time.Second {
				t.Errorf("it ended after %v", took)
			}
			if err := l.Renew(ctx); !errors.Is(err, ErrHeld) {
				t.Errorf("renewed after its end: %v", err)
			}
			if err := other.Release(ctx); err != nil {
				t.Error(err)
			}
			return
		}
		if !errors.Is(err, ErrHeld) {
			t.Fatal(err)
		}
		if time.Since(began) > 6*LeaseFor {
			t.Fatal("it does not end")
		}
		time.Sleep(50 * time.Millisecond) // the lease ends by the server's clock: there is nothing else to wait for
	}
}

func words(t *testing.T, s Store) {
	b := s.Bus()
	if !b.Connected() {
		t.Error("not connected")
	}
	heard := make(chan string, 100)
	stop, err := b.Subscribe("telemetry.*", func(subject string, data []byte) { heard <- subject + "=" + string(data) })
	if err != nil {
		t.Fatal(err)
	}
	other, err := b.Subscribe("a.>", func(subject string, data []byte) { heard <- subject + "=" + string(data) })
	if err != nil {
		t.Fatal(err)
	}
	defer other()
	for _, subject := range []string{"telemetry.a.b", "telemetry", "other.a", "telemetry.a", "a", "a.b.c"} {
		if err := b.Publish(subject, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]bool{}
	for range 2 {
		select {
		case w := <-heard:
			got[w] = true
		case <-time.After(30 * time.Second):
			t.Fatal("nothing was heard")
		}
	}
	if !got["telemetry.a=x"] || !got["a.b.c=x"] {
		t.Errorf("heard %v", got)
	}
	stop()
	if err := b.Publish("telemetry.c", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := b.Publish("a.end", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if w := <-heard; w != "a.end=x" {
		t.Errorf("heard %s after the end", w)
	}
}

func requests(t *testing.T, s Store) {
	b := s.Bus()
	ctx := within(t, 30*time.Second)
	if _, err := b.Request(ctx, "double", []byte("x")); !errors.Is(err, ErrNotFound) {
		t.Errorf("nobody serves it: %v", err)
	}
	stop, err := b.Serve("double", func(data []byte) []byte {
		if string(data) == "silence" {
			return nil
		}
		return append(bytes.Clone(data), data...)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if a, err := b.Request(ctx, "double", []byte("ab")); err != nil || string(a) != "abab" {
		t.Errorf("%q, %v", a, err)
	}
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if _, err := b.Request(short, "double", []byte("silence")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no answer: %v", err)
	}
}
