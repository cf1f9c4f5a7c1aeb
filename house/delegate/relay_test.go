package delegate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/roster"
)

// upstream is a pump that shows what it was asked, and streams until the test ends it.
type upstream struct {
	*httptest.Server
	asked chan *http.Request
	end   chan struct{}
	left  chan error
}

func newUpstream(t *testing.T) *upstream {
	u := &upstream{asked: make(chan *http.Request, 100), end: make(chan struct{}), left: make(chan error, 100)}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.asked <- r
		w.Header().Set("Content-Type", "application/x-mms-framed")
		c := http.NewResponseController(w)
		for i := 0; ; i++ {
			if _, err := fmt.Fprintf(w, "packet %d\n", i); err != nil {
				u.left <- err
				return
			}
			_ = c.Flush()
			select {
			case <-u.end:
				u.left <- nil
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}))
	t.Cleanup(u.Close)
	return u
}

// relaying is a house that relays, in front of one pump.
func relaying(t *testing.T, s Settings, change func(*Options)) (*upstream, *Delegator, string) {
	u := newUpstream(t)
	w := newWorld(t, func(p *roster.Pump) { p.URL = u.URL }, "a")
	w.report("a", func(s *fleet.State) { s.Streams[0].BPS = 300_000 })
	d := w.delegator(func(o *Options) {
		o.Remote, o.Settings = func(*http.Request) netip.Addr { return netip.MustParseAddr("10.0.0.9") }, s
		if change != nil {
			change(o)
		}
	})
	house := httptest.NewServer(d)
	t.Cleanup(house.Close)
	return u, d, house.Listener.Addr().String()
}

// mplayer asks as a player that follows no redirect.
func mplayer(t *testing.T, house, target string, lines ...string) (net.Conn, *http.Response) {
	t.Helper()
	c, err := net.Dial("tcp", house)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	lines = append([]string{"GET " + target + " HTTP/1.0", "User-Agent: NSPlayer/4.1.0.3856", "Pragma: xPlayStrm=1", "Host: house"}, lines...)
	if _, err := io.WriteString(c, strings.Join(lines, "\r\n")+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	a, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c, a
}

func TestPlayersThatFollowNoRedirectAreServedThroughTheHouse(t *testing.T) {
	u, d, house := relaying(t, Settings{RelayViewers: 2}, nil)
	_, a := mplayer(t, house, "/streams/STUDIO?id=x%20y", "X-Forwarded-For: 203.0.113.1", "Accept: */*", "X-Real-IP: 203.0.113.1")
	if a.StatusCode != 200 || a.Header.Get("Content-Type") != "application/x-mms-framed" {
		t.Fatal(a.Status, a.Header)
	}
	lines := bufio.NewReader(a.Body)
	for i := range 20 {
		if l, err := lines.ReadString('\n'); err != nil || l != fmt.Sprintf("packet %d\n", i) {
			t.Fatalf("%q, %v", l, err)
		}
	}
	r := <-u.asked
	if r.RequestURI != "/streams/Studio?id=x%20y" || r.Header.Get("X-Forwarded-For") != "10.0.0.9" || r.Header.Get("User-Agent") != "NSPlayer/4.1.0.3856" ||
		r.Header.Get("Pragma") != "xPlayStrm=1" || r.Header.Get("X-Real-Ip") != "" || r.ProtoAtLeast(1, 1) {
		t.Errorf("the pump was asked %s %s %v", r.Proto, r.RequestURI, r.Header)
	}
	if f := d.Figures(); f.Relayed != 1 || f.Relaying != 1 || f.RelayBPS != 300_000 {
		t.Errorf("counted %+v", f)
	}
	close(u.end) // the stream ends: so does the viewer's connection
	if _, err := io.Copy(io.Discard, lines); err != nil {
		t.Errorf("the end: %v", err)
	}
	waitFor(t, "the place to be given back", func() bool { return d.Figures().Relaying == 0 && d.Figures().RelayBPS == 0 })
}

func TestTheRelayHasALimit(t *testing.T) {
	for name, s := range map[string]Settings{"viewers": {RelayViewers: 2}, "bandwidth": {RelayViewers: 100, RelayBandwidth: 700_000}} {
		t.Run(name, func(t *testing.T) {
			u, d, house := relaying(t, s, nil)
			first, _ := mplayer(t, house, "/streams/studio")
			mplayer(t, house, "/streams/studio")
			if _, a := mplayer(t, house, "/streams/studio"); a.StatusCode != 503 || a.Header.Get("Retry-After") == "" {
				t.Errorf("the third: %s", a.Status)
			}
			_ = first.Close()
			if err := <-u.left; err == nil {
				t.Error("the pump was not told that the viewer left")
			}
			waitFor(t, "the place", func() bool { return d.Figures().Relaying == 1 })
			if _, a := mplayer(t, house, "/streams/studio"); a.StatusCode != 200 {
				t.Errorf("after one has left: %s", a.Status)
			}
			if f := d.Figures(); f.RelayFull != 1 || f.Relayed != 3 {
				t.Errorf("counted %+v", f)
			}
		})
	}
}

func TestTheHouseEndsWithItsRelay(t *testing.T) {
	u, d, house := relaying(t, Settings{RelayViewers: 2}, nil)
	_, a := mplayer(t, house, "/streams/studio")
	d.Close()
	if _, err := io.Copy(io.Discard, a.Body); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Error(err)
	}
	if err := <-u.left; err == nil {
		t.Error("the pump streams on")
	}
}

func TestAPumpThatCannotBeReached(t *testing.T) {
	for name, dial := range map[string]func(context.Context, Upstream) (net.Conn, error){
		"no connection": func(context.Context, Upstream) (net.Conn, error) { return nil, errors.New("no route") },
		"one that is gone before it is asked": func(context.Context, Upstream) (net.Conn, error) {
			near, far := net.Pipe()
			return near, far.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, d, house := relaying(t, Settings{RelayViewers: 2}, func(o *Options) { o.Dial = dial })
			if _, a := mplayer(t, house, "/streams/studio"); a.StatusCode != http.StatusBadGateway {
				t.Error(a.Status)
			}
			if f := d.Figures(); f.Relaying != 0 || f.Relayed != 0 {
				t.Errorf("counted %+v", f)
			}
		})
	}
}

func TestAnotherWayToTheStream(t *testing.T) {
	var to Upstream
	u, _, house := relaying(t, Settings{RelayViewers: 2}, func(o *Options) {
		o.Dial = func(ctx context.Context, t Upstream) (net.Conn, error) { to = t; return dial(ctx, t) }
	})
	mplayer(t, house, "/streams/studio?id=7")
	if to.Stream != "Studio" || to.URL.String() != u.URL+"/streams/Studio?id=7" || to.Viewer != netip.MustParseAddr("10.0.0.9") {
		t.Errorf("%+v", to)
	}
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
