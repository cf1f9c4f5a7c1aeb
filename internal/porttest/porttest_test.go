package porttest

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
)

// A port of root's is below 1024, free, and given once.
func TestAPortOfRoots(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can listen there")
	}
	seen := map[int]bool{}
	for range 20 {
		port := Roots(t)
		if seen[port] || port < firstOfRoot || port >= lastOfRoot {
			t.Errorf("%d, given before: %v", port, seen[port])
		}
		seen[port] = true
	}
}

// Whoever asks at the same time gets another port, which is free and none of those of outgoing connections.
func TestEachIsGivenOnce(t *testing.T) {
	var mu sync.Mutex
	seen := map[int]bool{}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				port := Free(t)
				l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
				if err != nil {
					t.Error(err)
					return
				}
				_ = l.Close()
				mu.Lock()
				if seen[port] || port < first || port >= last {
					t.Errorf("%d, given before: %v", port, seen[port])
				}
				seen[port] = true
				mu.Unlock()
			}
		})
	}
	all.Wait()
}

// A port that is kept is not given, in whichever program, though nobody listens there; after the test it is.
func TestKeptUntilTheEnd(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no names without files here")
	}
	var port int
	t.Run("a test", func(t *testing.T) {
		port = Free(t)
		if keep(t, port) {
			t.Error("it can be had twice")
		}
	})
	if !keep(t, port) {
		t.Error("it is still kept")
	}
}
