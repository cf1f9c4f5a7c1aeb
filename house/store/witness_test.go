package store

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// keptIn makes a store with ten entries in a folder, and closes it.
func keptIn(t *testing.T, dir string) {
	t.Helper()
	s, err := Open(within(t, 60*time.Second), Options{Name: "a", Prefix: "test", Replicas: 1, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if _, err := s.Put(within(t, 60*time.Second), fmt.Sprintf("a.%d", i), []byte(strings.Repeat("value", 50)), Any); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A store that has lost something is not taken for one that has less: it is refused by name, at
// each start anew, until a copy is put back, with which everything is there. What can be made anew
// from the rest is made anew.
func TestADamagedStoreIsRefused(t *testing.T) {
	stream := filepath.Join("jetstream", "$G", "streams", "KV_test-state")
	block := filepath.Join(stream, "msgs", "1.blk")
	cut := func(n int64) func(string) error {
		return func(dir string) error { return os.Truncate(filepath.Join(dir, block), n) }
	}
	without := func(name string) func(string) error {
		return func(dir string) error { return os.RemoveAll(filepath.Join(dir, name)) }
	}
	over := func(name string, at int64) func(string) error {
		return func(dir string) error {
			f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt([]byte("XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"), at)
			return errors.Join(err, f.Close())
		}
	}
	for name, tt := range map[string]struct {
		damage func(dir string) error
		whole  bool
	}{
		"nothing is wrong":                {func(string) error { return nil }, true},
		"the index is garbled":            {over(filepath.Join(stream, "msgs", "index.db"), 20), true},
		"the index is gone":               {without(filepath.Join(stream, "msgs", "index.db")), true},
		"the description is garbled":      {over(filepath.Join(stream, "meta.inf"), 0), true},
		"entries are cut off":             {cut(1500), false},
		"all entries are cut off":         {cut(0), false},
		"the file of the entries is gone": {without(block), false},
		"their folder is gone":            {without(filepath.Join(stream, "msgs")), false},
		"the stream is gone":              {without(stream), false},
		"everything of NATS is gone":      {without("jetstream"), false},
		"an entry is garbled":             {over(block, 1000), false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "store")
			keptIn(t, dir)
			copied := filepath.Join(t.TempDir(), "copy")
			if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			if err := tt.damage(dir); err != nil {
				t.Fatal(err)
			}
			for attempt := range 2 {
				s, err := Open(within(t, 60*time.Second), Options{Name: "a", Prefix: "test", Replicas: 1, Dir: dir})
				if err == nil {
					for i := range 10 {
						if _, err := s.Get(within(t, 60*time.Second), fmt.Sprintf("a.%d", i)); err != nil {
							t.Errorf("attempt %d: %v", attempt, err)
						}
					}
					_ = s.Close()
				}
				if tt.whole && err != nil || !tt.whole && (!errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "put back a copy")) {
					t.Errorf("attempt %d: %v", attempt, err)
				}
			}
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			s, err := Open(within(t, 60*time.Second), Options{Name: "a", Prefix: "test", Replicas: 1, Dir: copied})
			if err != nil {
				t.Fatalf("the copy: %v", err)
			}
			if _, err := s.Get(within(t, 60*time.Second), "a.9"); err != nil {
				t.Errorf("the copy: %v", err)
			}
			_ = s.Close()
		})
	}
}

// A store that a newer program has written is left alone; a note that cannot be read is no reason
// to refuse a store that is whole, and what was swept up was not lost.
func TestWhatIsNotedOfAStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	keptIn(t, dir)
	good, err := os.ReadFile(witnessFile(dir))
	if err != nil || !strings.Contains(string(good), `"entries":10`) {
		t.Fatalf("%s, %v", good, err)
	}
	for text, want := range map[string]error{`{"format":2,"what":"ever"}`: ErrNewer, "": nil, "garbage": nil, `{"revision":`: nil} {
		if err := os.WriteFile(witnessFile(dir), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(within(t, 60*time.Second), Options{Name: "a", Prefix: "test", Replicas: 1, Dir: dir})
		if !errors.Is(err, want) {
			t.Errorf("%q: %v", text, err)
		}
		if err == nil {
			_ = s.Close()
		}
	}
	if err := os.WriteFile(witnessFile(dir), good, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(within(t, 60*time.Second), Options{Name: "a", Prefix: "test", Replicas: 1, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if err := s.Delete(within(t, 60*time.Second), fmt.Sprintf("a.%d", i), Any); err != nil {
			t.Fatal(err)
		}
	}
	n := s.(*natsStore)
	if err := n.sweep(within(t, 60*time.Second), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if w, err := readWitness(dir); err != nil || w.Entries > 5 {
		t.Errorf("after the sweep: %+v, %v", w, err)
	}
	_ = s.Close()
	s, err = Open(within(t, 60*time.Second), Options{Name: "a", Prefix: "test", Replicas: 1, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
}

// What waiting does not mend is refused at once, by name and with what would be right.
func TestServersThatRefuseAHouse(t *testing.T) {
	run := func(o *server.Options) string {
		o.ServerName, o.Host, o.Port, o.JetStream, o.StoreDir, o.NoSigs, o.NoLog = "existing", "127.0.0.1", server.RANDOM_PORT, true, t.TempDir(), true, true
		s, err := server.NewServer(o)
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		if !s.ReadyForConnections(20 * time.Second) {
			t.Fatal("not ready")
		}
		return s.Addr().String()
	}
	closed := run(&server.Options{Username: "house", Password: "right"})
	own := clusterTLS(t)
	own.ClientAuth = tls.NoClientCert
	secure := run(&server.Options{TLSConfig: own, TLS: true, TLSTimeout: 20})
	for name, tt := range map[string]struct {
		o    Options
		want []string // nothing: it is let in
	}{
		"nobody":           {Options{URLs: []string{"nats://" + closed}}, []string{closed, "nats.user and password"}},
		"a wrong password": {Options{URLs: []string{"nats://" + closed}, User: "house", Password: "hush"}, []string{closed, `nats.user "house" and nats.password`}},
		"the right one":    {Options{URLs: []string{"nats://" + closed}, User: "house", Password: "right"}, nil},
		"another authority": {Options{URLs: []string{"tls://" + secure}, TLS: &tls.Config{RootCAs: clusterTLS(t).RootCAs, MinVersion: tls.VersionTLS12}},
			[]string{secure, "nats.ca"}},
		"its authority": {Options{URLs: []string{"tls://" + secure}, TLS: &tls.Config{RootCAs: own.RootCAs, MinVersion: tls.VersionTLS12}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			tt.o.Name, tt.o.Prefix, tt.o.Replicas = "a", "test", 1
			s, err := Open(within(t, 120*time.Second), tt.o)
			if err == nil {
				_ = s.Close()
			}
			if (err == nil) != (tt.want == nil) {
				t.Fatalf("%v", err)
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) || strings.Contains(err.Error(), "hush") || errors.Is(err, ErrUnavailable) {
					t.Errorf("no %q in %v", w, err)
				}
			}
		})
	}
}
