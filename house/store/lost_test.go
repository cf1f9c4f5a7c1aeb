package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/stream-pump/stream-pump/internal/porttest"
)

// elsewhere runs a server with JetStream at an address, with its files in a folder.
func elsewhere(t *testing.T, dir string, port int) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{ServerName: "existing", Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true, SyncAlways: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(60 * time.Second) {
		t.Fatal("not ready")
	}
	return s
}

// A house that knew a store at other servers does not begin with another one there, nor with less than
// there was, and makes no new one; what it was told is as good as before once the right one is back.
// Without what was written down it begins anew.
func TestAStoreElsewhereThatHasLostSomethingIsRefused(t *testing.T) {
	dir, kept := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "kept")
	port := porttest.Free(t)
	s := elsewhere(t, dir, port)
	o := Options{Name: "a", Prefix: "test", Replicas: 1, URLs: []string{fmt.Sprintf("nats://127.0.0.1:%d", port)}, Kept: kept}
	open := func() error {
		t.Helper()
		st, err := Open(within(t, 120*time.Second), o)
		if err == nil {
			err = st.Close()
		}
		return err
	}
	again := func(dir string) {
		t.Helper()
		s.Shutdown()
		s.WaitForShutdown()
		s = elsewhere(t, dir, port)
	}
	st, err := Open(within(t, 60*time.Second), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Put(within(t, 60*time.Second), "a.1", []byte("value"), Any); err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	older := filepath.Join(t.TempDir(), "older")
	s.Shutdown()
	s.WaitForShutdown()
	if err := os.CopyFS(older, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	again(dir)
	if st, err = Open(within(t, 60*time.Second), o); err != nil {
		t.Fatalf("what was known is there: %v", err)
	}
	if _, err := st.Put(within(t, 60*time.Second), "a.2", []byte("value"), Any); err != nil {
		t.Fatal(err)
	}
	_ = st.Close()
	refused := func(what, word string) {
		t.Helper()
		err := open()
		if !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), word) || !strings.Contains(err.Error(), kept) || !strings.Contains(err.Error(), "roster import") {
			t.Errorf("%s: %v", what, err)
		}
	}
	again(older)
	refused("an old copy", "goes to revision 2, and went to 3")
	empty := filepath.Join(t.TempDir(), "empty")
	again(empty)
	refused("nothing", "it is not there")
	if made, _ := filepath.Glob(filepath.Join(empty, "jetstream", "*", "streams", "*")); len(made) > 0 {
		t.Errorf("a store was made: %v", made)
	}
	stranger := o
	stranger.Kept, stranger.Name = "", "b"
	st, err = Open(within(t, 60*time.Second), stranger)
	if err != nil {
		t.Fatal(err)
	}
	_ = st.Close()
	refused("one that somebody else has made", "another one than this house knows")
	for range 2 { // what NATS says of when it was made changes
		again(dir)
		if err := open(); err != nil {
			t.Errorf("the right one: %v", err)
		}
	}
	again(empty)
	if err := os.Remove(kept); err != nil {
		t.Fatal(err)
	}
	if err := open(); err != nil {
		t.Errorf("nothing is known: %v", err)
	}
}

// While the store is another one, what was told stays told: nothing is deleted that is only missing, and
// no change is taken. When it is back it is followed again.
func TestAStoreElsewhereThatIsEmptiedWhileItIsFollowed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	port := porttest.Free(t)
	s := elsewhere(t, dir, port)
	o := Options{Name: "a", Prefix: "test", Replicas: 1, URLs: []string{fmt.Sprintf("nats://127.0.0.1:%d", port)}, Kept: filepath.Join(t.TempDir(), "kept")}
	st, err := Open(within(t, 60*time.Second), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	if _, err := st.Put(within(t, 60*time.Second), "a.1", []byte("value"), Any); err != nil {
		t.Fatal(err)
	}
	w, err := st.Watch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	next := func() Change {
		t.Helper()
		select {
		case c := <-w.C:
			return c
		case <-time.After(120 * time.Second):
			t.Fatal("nothing comes")
			return Change{}
		}
	}
	if c := next(); c.Key != "a.1" {
		t.Fatalf("%+v", c)
	}
	if c := next(); !c.Whole {
		t.Fatalf("%+v", c)
	}
	put := func(dir string) {
		t.Helper()
		s.Shutdown()
		s.WaitForShutdown()
		s = elsewhere(t, dir, port)
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(120 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("it does not happen: %s (%v)", what, st.Health())
			}
			select {
			case c := <-w.C:
				t.Fatalf("told meanwhile: %+v", c)
			default:
			}
		}
	}
	put(filepath.Join(t.TempDir(), "empty"))
	until("it shows", func() bool { return errors.Is(st.Health(), ErrLost) })
	if _, err := st.Put(within(t, 60*time.Second), "a.2", []byte("value"), Any); !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "roster export") {
		t.Errorf("a change: %v", err)
	}
	if _, err := st.Acquire(within(t, 60*time.Second), "x", nil); err == nil {
		t.Error("a lease is given")
	}
	if _, err := st.(*natsStore).js.Stream(within(t, 60*time.Second), "KV_test-state"); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("a store was made: %v", err)
	}
	put(dir)
	until("it is there again", func() bool { return st.Health() == nil })
	if _, err := st.Put(within(t, 60*time.Second), "a.2", []byte("value"), Any); err != nil {
		t.Fatal(err)
	}
	if c := next(); c.Key != "a.2" || c.Deleted {
		t.Errorf("%+v", c)
	}
}
