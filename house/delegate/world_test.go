package delegate

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/live"
	"github.com/stream-pump/stream-pump/house/roster"
	"github.com/stream-pump/stream-pump/internal/worldtest"
)

func TestMain(m *testing.M) {
	if what := os.Getenv(serveEnv); what != "" {
		os.Exit(serveRedirects(what))
	}
	goleak.VerifyTestMain(m)
}

// world is a fleet whose pumps say what the test wants.
type world struct {
	t     testing.TB
	clock *worldtest.Clock
	fleet *live.Fleet
	pumps []roster.Pump
	said  map[string]*fleet.State
	count map[string]int64
	boot  map[string]int
}

// newWorld has pumps that all deliver the stream "studio" and serve everybody, unless change says otherwise.
func newWorld(t testing.TB, change func(*roster.Pump), ids ...string) *world {
	w := &world{t: t, clock: worldtest.NewClock(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)), said: map[string]*fleet.State{}, count: map[string]int64{}, boot: map[string]int{}}
	w.fleet = live.New(live.Options{Now: w.clock.Now})
	for i, id := range ids {
		p := roster.Pump{ID: id, URL: fmt.Sprintf("http://192.0.2.%d:8086", i+1), Enabled: true, Networks: nets("0.0.0.0/0", 0, "::/0", 0)}
		if change != nil {
			change(&p)
		}
		w.pumps = append(w.pumps, p)
	}
	w.fleet.SetStreams([]live.Stream{{Path: "Studio", Name: "The <studio>", Enabled: true}, {Path: "gone", Enabled: true}, {Path: "off"}, {Path: "x.asx", Enabled: true}})
	w.seat()
	for _, id := range ids {
		w.report(id, nil)
	}
	return w
}

// seat puts the roster in force.
func (w *world) seat() {
	w.fleet.SetRoster(&roster.Roster{Pumps: append([]roster.Pump(nil), w.pumps...)})
}

// report makes a pump say what it does; change alters what it said before.
func (w *world) report(id string, change func(*fleet.State)) {
	w.t.Helper()
	s := fleet.State{Streams: []fleet.StreamState{{Path: "Studio", State: fleet.StreamLive, BPS: 300_000}, {Path: "gone", State: fleet.StreamConnecting}}}
	if old := w.said[id]; old != nil {
		s = *old
		s.Streams = append([]fleet.StreamState(nil), old.Streams...)
	}
	if change != nil {
		change(&s)
	}
	w.said[id] = &s
	w.count[id]++
	b := &fleet.Batch{Pump: id, Boot: fmt.Sprintf("%016x", w.boot[id]+1), Number: w.count[id], First: 1, State: &s}
	if err := b.Check(id); err != nil {
		w.t.Fatal(err)
	}
	w.fleet.Apply(b, live.Direct)
}

// delegator returns one for the world; it is closed with the test.
func (w *world) delegator(change func(*Options)) *Delegator {
	o := Options{Fleet: w.fleet, Now: w.clock.Now, Remember: 4096, Remote: func(r *http.Request) netip.Addr {
		a, _ := netip.ParseAddr(r.Header.Get("Test-From"))
		return a
	}}
	if change != nil {
		change(&o)
	}
	d := New(o)
	w.t.Cleanup(d.Close)
	return d
}

func nets(list ...any) []roster.Network {
	var out []roster.Network
	for i := 0; i < len(list); i += 2 {
		out = append(out, roster.Network{Prefix: netip.MustParsePrefix(list[i].(string)), Priority: list[i+1].(int)})
	}
	return out
}

// asker is a player as it looks to the house.
type asker struct {
	proto  string
	header http.Header
}

func headers(lines ...string) http.Header {
	h := http.Header{}
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		h.Add(name, value)
	}
	return h
}

// The players' requests, as protocol notes have them.
var (
	ffmpegAsks  = asker{"HTTP/1.1", headers("User-Agent: NSPlayer/4.1.0.3856", "Range: bytes=0-", "Icy-MetaData: 1", "Pragma: no-cache,rate=1.000000,stream-time=0,stream-offset=0:0,request-context=1,max-duration=0", "Connection: Close")}
	ffmpegPlays = asker{"HTTP/1.1", headers("User-Agent: NSPlayer/4.1.0.3856", "Range: bytes=0-", "Pragma: no-cache,rate=1.000000,request-context=2", "Pragma: xPlayStrm=1", "Pragma: stream-switch-count=2", "Pragma: stream-switch-entry=ffff:1:0 ffff:2:0", "Pragma: no-cache,rate=1.000000,stream-time=0Connection: Close")}
	vlcAsks     = asker{"HTTP/1.0", headers("User-Agent: NSPlayer/7.10.0.3059", "Pragma: no-cache,rate=1.000,stream-time=0,stream-offset=0:0,request-context=1,max-duration=0", "Connection: Close")}
	mplayerAsks = asker{"HTTP/1.0", headers("User-Agent: NSPlayer/4.1.0.3856", "Pragma: xClientGUID={c77e7400-738a-11d2-9add-0020af0a3278}", "Pragma: no-cache,rate=1.000000,stream-time=0,stream-offset=0:0,request-context=1,max-duration=0")}
	wmp12Asks   = asker{"HTTP/1.1", headers("User-Agent: NSPlayer/12.0.7601.17514", "Pragma: no-cache,rate=1.000,stream-time=0,stream-offset=0:0,packet-num=4294967295,max-duration=0", "Supported: com.microsoft.wm.srvppair")}
	wmp71Asks   = asker{"HTTP/1.0", headers("User-Agent: NSPlayer/7.1.0.3055", "Pragma: no-cache,request-context=1")}
	serverPulls = asker{"HTTP/1.0", headers("User-Agent: NSServer/9.0.0.0", "Pragma: no-cache,request-context=1")}
	pumpPulls   = asker{"HTTP/1.0", headers("User-Agent: NSPlayer/4.1.0.3856", "Pragma: xPlayStrm=1", "Pragma: stream-pump-relay=1")}
	browserAsks = asker{"HTTP/1.1", headers("User-Agent: Mozilla/5.0", "Accept: text/html")}
	curlAsks    = asker{"HTTP/1.1", headers("User-Agent: curl/8.0")}
)

// get asks the house and returns the answer.
func get(h http.Handler, a asker, from, target string) *httptest.ResponseRecorder {
	return do(h, http.MethodGet, a, from, target)
}

func do(h http.Handler, method string, a asker, from, target string) *httptest.ResponseRecorder {
	a.header = a.header.Clone()
	a.header.Set("Test-From", from)
	return serve(h, httptest.NewRequest(method, target, nil), a)
}

func serve(h http.Handler, r *http.Request, a asker) *httptest.ResponseRecorder {
	r.Header = a.header
	r.Proto = a.proto
	r.ProtoMajor, r.ProtoMinor, _ = http.ParseHTTPVersion(a.proto)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// pumpOf is the id of the pump that an answer sends to.
func (w *world) pumpOf(a *httptest.ResponseRecorder) string {
	for i := range w.pumps {
		if strings.Contains(a.Header().Get("Location"), strings.TrimPrefix(w.pumps[i].URL, "http:")+"/") {
			return w.pumps[i].ID
		}
	}
	return fmt.Sprint(a.Code)
}

func addr(i int) string {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).String()
}
