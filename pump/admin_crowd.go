package pump

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
)

// adminMost is how many connections the operators' port has at once.
const adminMost = 48

// crowd bounds the connections of the operators' port, so that those who reach it and say nothing take neither descriptors from
// the viewers nor the port from the operators. A connection waits until the head of a request is whole, and again behind the answer;
// where one more comes than there may be, the one that has waited longest is closed. Safe for concurrent use.
type crowd struct {
	most int

	mu      sync.Mutex
	all     map[net.Conn]*list.Element // nil while a request is worked on
	waiting *list.List                 // of net.Conn, longest first
}

func newCrowd(most int) *crowd {
	return &crowd{most: most, all: map[net.Conn]*list.Element{}, waiting: list.New()}
}

// bound has a server's connections counted. To be called before it serves.
func (c *crowd) bound(s *http.Server) {
	s.ConnState = c.changed
	s.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, crowdKey{}, conn)
	}
	next := s.Handler
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _ := r.Context().Value(crowdKey{}).(net.Conn)
		c.wait(conn, false)
		defer c.wait(conn, true)
		next.ServeHTTP(w, r)
	})
}

type crowdKey struct{}

// changed is called by the server for each connection that comes or goes.
func (c *crowd) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		c.all[conn] = c.waiting.PushBack(conn)
		if len(c.all) > c.most {
			longest := c.waiting.Front().Value.(net.Conn) // there is one: that which has just come
			c.forget(longest)
			_ = longest.Close()
		}
	case http.StateHijacked, http.StateClosed:
		c.forget(conn)
	}
}

// forget takes a connection out. The caller holds c.mu.
func (c *crowd) forget(conn net.Conn) {
	if at := c.all[conn]; at != nil {
		c.waiting.Remove(at)
	}
	delete(c.all, conn)
}

// wait notes that a connection waits for a request, or that one of its requests is worked on.
func (c *crowd) wait(conn net.Conn, waits bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, known := c.all[conn]
	switch {
	case !known: // closed meanwhile
	case waits && at == nil:
		c.all[conn] = c.waiting.PushBack(conn)
	case !waits && at != nil:
		c.waiting.Remove(at)
		c.all[conn] = nil
	}
}
