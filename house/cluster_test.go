package house

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/house/roster"
	"github.com/stream-pump/stream-pump/internal/porttest"
)

// Three houses whose servers form a cluster, with certificates as the command makes them: a
// change at one is in force at all, and goes on when one is killed.
func TestThreeHouses(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	dir := t.TempDir()
	if _, err := WriteAuthority(dir, []string{"127.0.0.1"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	var addresses []string
	for range 3 {
		addresses = append(addresses, fmt.Sprintf("127.0.0.1:%d", porttest.Free(t)))
	}
	houses := make([]*House, 3)
	errs := make([]error, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 120*time.Second)
	defer cancel()
	var all sync.WaitGroup
	for i := range houses {
		load := clustered(t, dir, i, addresses)
		cfg, err := load()
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() { houses[i], errs[i] = Start(ctx, cfg, Options{Load: load, Log: slog.New(slog.DiscardHandler)}) })
	}
	all.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("house %d: %v", i, err)
		}
		t.Cleanup(houses[i].Close)
	}
	put := func(h *House, id string) error {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		_, err := h.Registry().PutPump(ctx, roster.Pump{ID: id, Enabled: true}, 0)
		return err
	}
	if err := put(houses[0], "a"); err != nil {
		t.Fatal(err)
	}
	for i, h := range houses {
		becomes(t, fmt.Sprintf("house %d has it", i), func() bool { return ids(h) == "a" })
		if h.Registry().State().Authority.Certificate().SerialNumber.Cmp(houses[0].Registry().State().Authority.Certificate().SerialNumber) != 0 {
			t.Errorf("house %d has an authority of its own", i)
		}
	}
	t.Run("a log-out, a token taken back, a user taken off hold at all houses", func(t *testing.T) { lockedOut(t, houses, dir) })
	houses[0].Close()
	becomes(t, "a change is taken by the other two", func() bool { return put(houses[1], "b") == nil })
	becomes(t, "and in force at the third", func() bool { return ids(houses[2]) == "a b" })
}

func clustered(t *testing.T, dir string, i int, addresses []string) func() (*config.House, error) {
	t.Helper()
	var routes []string
	for j, a := range addresses {
		if j != i {
			routes = append(routes, a)
		}
	}
	file := filepath.Join(dir, fmt.Sprintf("house-%d.yaml", i))
	text := fmt.Sprintf(`name: house-%d
listen: ["127.0.0.1:0"]
ssl_listen: ["127.0.0.1:0"]
data: data-%d
nats:
  replicas: 3
  cluster: {listen: %q, routes: [%q, %q], secret: between houses, cert: 127.0.0.1.pem, key: 127.0.0.1.key, ca: houses.pem}
users:
  - {name: anna, role: steer, password_hash: %q} # her name and "'s password"
  - {name: ben, role: look, password_hash: %q}
`, i, i, addresses[i], routes[0], routes[1], annaHash, benHash)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return func() (*config.House, error) { return config.LoadHouse(file, nil) }
}

func becomes(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(90 * time.Second); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not happen: %s", what)
		}
	}
}
