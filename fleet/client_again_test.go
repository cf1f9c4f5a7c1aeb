package fleet

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/worldtest"
)

// A house closes a connection on which nobody asks anything, and cannot know that a request is on its way there: then there is no
// answer. Telemetry told twice is told once, so it goes again, and the session goes on.
func TestTelemetryWithoutAnAnswerGoesAgain(t *testing.T) {
	f := newFakeHouse(t)
	var mu sync.Mutex
	told := map[int64]int{} // how often a batch came
	f.receipt = func(b *Batch) (Receipt, *Error) {
		mu.Lock()
		told[b.Number]++
		lose := b.Number%3 == 0 && told[b.Number] == 1
		mu.Unlock()
		if lose {
			panic(http.ErrAbortHandler) // the connection is closed, and nothing is answered
		}
		return Receipt{Boot: b.Boot, Acked: b.First + int64(len(b.Events)) - 1}, nil
	}
	newTalk(t, f, nil)
	worldtest.Eventually(t, "three batches went again", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return told[3] == 2 && told[6] == 2 && told[9] == 2
	})
	if n := f.greeted(); n != 1 {
		t.Errorf("the pump said hello %d times", n)
	}
}

// patientConn tells that the other end has closed it once something was written only, as a long way does.
type patientConn struct {
	net.Conn
	written chan struct{}
	once    sync.Once
}

func (c *patientConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		<-c.written
	}
	return n, err
}

func (c *patientConn) Write(b []byte) (int, error) {
	defer c.once.Do(func() { close(c.written) })
	return c.Conn.Write(b)
}

func (c *patientConn) Close() error {
	c.once.Do(func() { close(c.written) })
	return c.Conn.Close()
}

// What happened: a request waits for a connection to be made, another one becomes free and takes it, and the new one lies there
// unused. The server closes it when no request has come within ReadHeaderTimeout; a POST that is on its way just then
// fails with EOF, unless it says that it may be sent again.
func TestAnUnusedConnectionIsClosedUnderARequest(t *testing.T) {
	for name, again := range map[string]bool{"a POST": false, "one that may go again": true} {
		t.Run(name, func(t *testing.T) {
			closed, arrived := make(chan struct{}), make(chan struct{}, 3)
			release := map[string]chan struct{}{"/first": make(chan struct{}), "/second": make(chan struct{})}
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if held := release[r.URL.Path]; held != nil {
					arrived <- struct{}{}
					<-held
				}
			}))
			s.Config.ReadHeaderTimeout = 50 * time.Millisecond
			unused := map[net.Conn]bool{}
			s.Config.ConnState = func(c net.Conn, state http.ConnState) { // one after the other, for each connection; two are made
				switch {
				case state == http.StateActive:
					delete(unused, c)
				case state == http.StateNew:
					unused[c] = true
				case state == http.StateClosed && unused[c]:
					close(closed)
				}
			}
			serialized(&s.Config.ConnState)
			s.Start()
			defer s.Close()

			second := make(chan struct{})
			var dialled atomic.Int32
			tr := &http.Transport{MaxConnsPerHost: 2, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				if dialled.Add(1) == 2 {
					arrived <- struct{}{}
					<-second
				}
				c, err := (&net.Dialer{}).DialContext(ctx, network, address)
				return &patientConn{Conn: c, written: make(chan struct{})}, err
			}}
			defer tr.CloseIdleConnections()
			c := &http.Client{Transport: tr, Timeout: patience}
			post := func(path string, again bool) error {
				r, err := http.NewRequest(http.MethodPost, s.URL+path, strings.NewReader("{}"))
				if err != nil {
					return err
				}
				if again {
					mayGoAgain(r)
				}
				resp, err := c.Do(r)
				if err != nil {
					return err
				}
				_, err = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				return err
			}
			var all sync.WaitGroup
			for _, path := range []string{"/first", "/second"} {
				all.Go(func() {
					if err := post(path, false); err != nil {
						t.Error(err)
					}
				})
				<-arrived // the one at the server, the other one's connection at the door
			}
			close(release["/first"])
			<-arrived // the second goes over the first one's connection, and stays there
			close(second)
			select {
			case <-closed:
			case <-time.After(patience):
				t.Fatal("the server keeps a connection on which nobody asks")
			}
			err := post("/third", again)
			close(release["/second"])
			all.Wait()
			if again != (err == nil) || err != nil && !strings.Contains(err.Error(), "EOF") {
				t.Errorf("the request that met the closed connection: %v", err)
			}
		})
	}
}

// serialized has a function that a server calls from several goroutines called by one at a time.
func serialized(f *func(net.Conn, http.ConnState)) {
	var mu sync.Mutex
	was := *f
	*f = func(c net.Conn, s http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		was(c, s)
	}
}
