package e2e

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// relay passes TCP connections on to the first of several addresses that takes them, as a load balancer does, and can
// be cut as a link can.
type relay struct {
	Port int
	to   []string
	ln   net.Listener
	done sync.WaitGroup

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]struct{}
}

func newRelay(t *testing.T, to ...string) *relay {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{Port: ln.Addr().(*net.TCPAddr).Port, to: to, ln: ln, conns: map[net.Conn]struct{}{}}
	r.done.Go(r.accept)
	t.Cleanup(func() {
		_ = ln.Close()
		r.Cut(true)
		r.done.Wait()
	})
	return r
}

// Cut breaks all connections, and lets nobody through until it is called with false.
func (r *relay) Cut(cut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = cut
	if cut {
		for c := range r.conns {
			_ = c.Close()
		}
	}
}

func (r *relay) accept() {
	for {
		c, err := r.ln.Accept()
		if err != nil {
			return
		}
		r.done.Go(func() { r.pass(c) })
	}
}

// keep notes a connection, unless the relay is cut.
func (r *relay) keep(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cut {
		_ = c.Close()
		return false
	}
	r.conns[c] = struct{}{}
	return true
}

func (r *relay) drop(c net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
	_ = c.Close()
}

func (r *relay) pass(c net.Conn) {
	if !r.keep(c) {
		return
	}
	defer r.drop(c)
	for _, address := range r.to {
		up, err := net.DialTimeout("tcp", address, slack*time.Second)
		if err != nil {
			continue
		}
		if !r.keep(up) {
			return
		}
		defer r.drop(up)
		ended := make(chan struct{}, 2)
		for _, way := range [][2]net.Conn{{c, up}, {up, c}} {
			r.done.Go(func() {
				_, _ = io.Copy(way[0], way[1])
				ended <- struct{}{}
			})
		}
		<-ended
		return
	}
}
