package delegate

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/roster"
	"github.com/stream-pump/stream-pump/mmsh"
)

func TestEachPlayerGetsTheFormItFollows(t *testing.T) {
	const http, mms = "http://192.0.2.1:8086/streams/Studio", "mmsh://192.0.2.1:8086/streams/Studio"
	w := newWorld(t, nil, "a")
	d := w.delegator(nil) // relays nobody: then http is as good as anything
	for _, c := range []struct {
		name string
		who  asker
		want string
	}{
		{"FFmpeg, Describe", ffmpegAsks, http},
		{"FFmpeg, Play", ffmpegPlays, http},
		{"VLC", vlcAsks, mms},
		{"Windows Media Player 12", wmp12Asks, http},
		{"Windows Media Player 7.1", wmp71Asks, http},
		{"Windows Media Services", serverPulls, http},
		{"another pump", pumpPulls, http},
		{"a browser", browserAsks, http},
		{"curl", curlAsks, http},
		{"MPlayer, when nobody is relayed", mplayerAsks, http},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := get(d, c.who, "10.0.0.1", "/streams/studio")
			if a.Code != 302 || a.Header().Get("Location") != c.want {
				t.Fatalf("%d to %q", a.Code, a.Header().Get("Location"))
			}
			if player := strings.HasPrefix(c.who.header.Get("User-Agent"), "NS"); player != (a.Header().Get("Server") == mmsh.ServerViewer) || player != (a.Header().Get("Connection") == "close") {
				t.Errorf("headers %v", a.Header())
			}
			if a.Body.Len() > 0 || a.Header().Get("Content-Length") != "0" || a.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("headers %v, body %q", a.Header(), a.Body)
			}
		})
	}
}

func TestPathsAndQueriesAreKept(t *testing.T) {
	w := newWorld(t, nil, "a")
	d := w.delegator(nil)
	const at = "http://192.0.2.1:8086/streams/"
	for target, want := range map[string]string{
		"/streams/Studio":                          at + "Studio",
		"/streams/STUDIO/":                         at + "Studio",
		"/streams/studio.asf":                      at + "Studio.asf",
		"/streams/studio?id=abc&MSWMExt=.asf":      at + "Studio?id=abc&MSWMExt=.asf",
		"/streams/studio?id=a%20b&sig=x%2By%3D&e=": at + "Studio?id=a%20b&sig=x%2By%3D&e=",
		"/streams/studio?":                         at + "Studio",
	} {
		if a := get(d, curlAsks, "10.0.0.1", target); a.Code != 302 || a.Header().Get("Location") != want {
			t.Errorf("%s: %d to %q, want %q", target, a.Code, a.Header().Get("Location"), want)
		}
	}
	for _, target := range []string{"/streams/", "/streams", "/streams/nothing", "/streams/off", "/streams/studio/x", "/streams/.asx", "/x", "/streams/studio%2f..", "/streams/_push"} {
		if a := get(d, curlAsks, "10.0.0.1", target); a.Code != 404 {
			t.Errorf("%s: %d", target, a.Code)
		}
	}
	if f := d.Figures(); f.Unknown != 9 || f.ToHTTP != 6 {
		t.Errorf("counted %+v", f)
	}
}

func TestWhoeverAsksFirstIsThatViewer(t *testing.T) {
	w := newWorld(t, nil, "a", "b", "c", "d")
	d := w.delegator(func(o *Options) { o.IDParameter = "viewer" })
	seen := map[string]bool{}
	for i := range 40 {
		target := fmt.Sprintf("/streams/studio?x=1&viewer=n%%2F%d", i)
		first := w.pumpOf(get(d, ffmpegAsks, "10.0.0.1", target))
		if again := w.pumpOf(get(d, ffmpegPlays, "10.0.0.1", target)); again != first {
			t.Fatalf("asks: %s, plays: %s", first, again)
		}
		seen[first] = true
	}
	if len(seen) != 4 {
		t.Errorf("viewers with ids behind one address are sent to %v only", seen)
	}
}

func TestWhenThereIsNoPump(t *testing.T) {
	w := newWorld(t, func(p *roster.Pump) { p.Networks, p.MaxViewers = nets("10.0.0.0/8", 1), 1 }, "a")
	w.report("a", func(s *fleet.State) { s.Viewers = 1 })
	d := w.delegator(nil)
	for _, c := range []struct {
		name, from, target, text string
	}{
		{"full", "10.0.0.1", "/streams/studio", "full"},
		{"no network", "192.168.0.1", "/streams/studio", "network"},
		{"not live", "10.0.0.1", "/streams/gone", "live"},
		{"a list", "10.0.0.1", "/streams/gone.asx", "live"},
	} {
		for _, who := range []asker{curlAsks, ffmpegAsks, mplayerAsks} {
			a := get(d, who, c.from, c.target)
			if a.Code != http.StatusServiceUnavailable || a.Header().Get("Retry-After") != "5" || !strings.Contains(a.Body.String(), c.text) {
				t.Errorf("%s: %d, %v, %q", c.name, a.Code, a.Header(), a.Body)
			}
		}
	}
	d.Set(Settings{Fallback: "https://example.org/sorry?x=1"})
	if a := get(d, curlAsks, "192.168.0.1", "/streams/studio"); a.Code != 302 || a.Header().Get("Location") != "https://example.org/sorry?x=1" {
		t.Errorf("%d to %q", a.Code, a.Header().Get("Location"))
	}
	if f := d.Figures(); f.Full != 3 || f.NoNetwork != 4 || f.NotLive != 6 || f.Fallback != 1 {
		t.Errorf("counted %+v", f)
	}
}

func TestALookTakesNoPlace(t *testing.T) {
	w := newWorld(t, func(p *roster.Pump) { p.MaxViewers = 1 }, "a")
	d := w.delegator(nil)
	for range 5 {
		if a := do(d, http.MethodHead, curlAsks, "10.0.0.1", "/streams/studio"); a.Code != 302 {
			t.Fatal(a.Code)
		}
	}
	if a := get(d, curlAsks, "10.0.0.1", "/streams/studio"); a.Code != 302 {
		t.Fatal(a.Code)
	}
	if a := do(d, http.MethodHead, curlAsks, "10.0.0.2", "/streams/studio"); a.Code != 503 || a.Body.Len() > 0 {
		t.Fatal(a.Code, a.Body)
	}
}

func TestWhatElsePlayersAndEncodersSay(t *testing.T) {
	w := newWorld(t, nil, "a")
	d := w.delegator(nil)
	windows := func(lines ...string) asker {
		return asker{"HTTP/1.1", headers(append(lines, "User-Agent: NSPlayer/12.0.7601.17514")...)}
	}
	for _, c := range []struct {
		name, method, target string
		who                  asker
		want                 int
	}{
		{"a log", "POST", "/streams/studio", windows("Content-Type: application/x-wms-LogStats;charset=UTF-8"), 204},
		{"an old log", "POST", "/streams/studio", windows("Pragma: log-line=x y z"), 204},
		{"an event", "POST", "/streams/studio", windows("Content-Type: application/x-wms-sendevent"), 200},
		{"a cache's question", "POST", "/streams/studio", windows("Content-Type: application/x-wms-getcontentinfo"), 200},
		{"keep-alive, pipelined", "OPTIONS", "/streams/studio", windows(), 200},
		{"keep-alive of no session", "POST", "/streams/studio", windows("Pragma: xKeepAliveInPause=1"), 400},
		{"a pipeline test", "GET", "/streams/studio", windows("Pragma: pipeline-request=1"), 400},
		{"a push", "POST", "/streams/studio_push", asker{"HTTP/1.1", headers("Content-Type: application/x-wms-pushsetup", "User-Agent: WMEncoder/12.0")}, 403},
		{"a push without a name for it", "PUT", "/streams/studio", curlAsks, 403},
		{"a list posted", "POST", "/streams/studio.asx", curlAsks, 403},
		{"deleting", "DELETE", "/streams/studio", curlAsks, 400},
	} {
		if a := do(d, c.method, c.who, "10.0.0.1", c.target); a.Code != c.want {
			t.Errorf("%s: %d, want %d", c.name, a.Code, c.want)
		}
	}
}

func TestAListNamesTheChosenPumpThenTheNextBest(t *testing.T) {
	w := newWorld(t, func(p *roster.Pump) {
		switch p.ID {
		case "near":
			p.Networks = nets("10.0.0.0/8", 9)
		case "next":
			p.Networks = nets("10.0.0.0/16", 5)
		case "far":
			p.Networks, p.URL = nets("0.0.0.0/0", 1), "https://far.example:8089"
		case "last", "toomuch":
			p.Networks = nets("0.0.0.0/0", -1)
		case "elsewhere":
			p.Networks = nets("192.168.0.0/16", 99)
		}
	}, "elsewhere", "far", "next", "near", "last", "toomuch")
	d := w.delegator(nil)
	a := get(d, wmp12Asks, "10.0.0.1", "/streams/studio.asx?id=a%26b&MSWMExt=.asf")
	if a.Code != 200 || a.Header().Get("Content-Type") != "video/x-ms-asf" {
		t.Fatalf("%d, %v", a.Code, a.Header())
	}
	got, err := mmsh.ParsePlaylist(a.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"http://192.0.2.4:8086/streams/Studio?id=a%26b&MSWMExt=.asf", "mms://192.0.2.4:8086/streams/Studio?id=a%26b",
		"http://192.0.2.3:8086/streams/Studio?id=a%26b&MSWMExt=.asf", "mms://192.0.2.3:8086/streams/Studio?id=a%26b",
		"https://far.example:8089/streams/Studio?id=a%26b&MSWMExt=.asf",
	}
	if len(got) != 7 || !slices.Equal(got[:5], want) || !strings.HasPrefix(got[6], "mms://") {
		t.Errorf("lists %q", got)
	}
	if !strings.Contains(a.Body.String(), "The &lt;studio&gt;") {
		t.Errorf("title: %s", a.Body)
	}
	if n := d.awaiting(); n != 1 {
		t.Errorf("%d are awaited", n)
	}
	if a := get(d, browserAsks, "10.0.0.1", "/streams/x.asx"); a.Code != 503 { // a stream of that name, not live
		t.Errorf("a stream whose name ends like a list: %d", a.Code)
	}
}

func TestPumpsWithTLSForThosePlayersWhoCan(t *testing.T) {
	w := newWorld(t, func(p *roster.Pump) { p.URL = "https://a.example" }, "a")
	d := w.delegator(nil)
	for _, who := range []asker{curlAsks, browserAsks, pumpPulls} {
		if a := get(d, who, "10.0.0.1", "/streams/studio"); a.Header().Get("Location") != "https://a.example/streams/Studio" {
			t.Errorf("%v: to %q", who.header, a.Header().Get("Location"))
		}
	}
}

func FuzzRequest(f *testing.F) {
	for _, a := range []asker{ffmpegAsks, ffmpegPlays, vlcAsks, mplayerAsks, wmp12Asks, browserAsks} {
		f.Add("/streams/studio", "id=1&x=%zz", a.header.Get("User-Agent"), a.header.Get("Pragma"))
	}
	f.Add("/streams/studio.asx", "id=%22%3E%3Cscript%3E", "Mozilla/5.0", "")
	w := newWorld(f, nil, "a")
	d := w.delegator(nil)
	f.Fuzz(func(t *testing.T, path, query, agent, pragma string) {
		r, err := http.NewRequest(http.MethodGet, "http://h/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Path, r.URL.RawQuery = path, query
		if _, err := http.NewRequest(http.MethodGet, "http://h/?"+query, nil); err != nil {
			return // the server does not let it in
		}
		a := asker{"HTTP/1.1", http.Header{"User-Agent": {agent}, "Pragma": {pragma}}}
		rec := serve(d, r, a)
		if to := rec.Header().Get("Location"); to != "" && !strings.HasPrefix(to, "http://192.0.2.1:8086/streams/Studio") && !strings.HasPrefix(to, "mmsh://192.0.2.1:8086/streams/Studio") {
			t.Fatalf("sent to %q", to)
		}
		if strings.Contains(rec.Body.String(), "<script") {
			t.Fatalf("%s", rec.Body)
		}
	})
}

// Words of other houses are whatever comes over the bus.
func FuzzWord(f *testing.F) {
	one := newBetween(nil, 1, nil, &sharing{})
	one.add(entry{key: 7, pump: pumpKey("a"), stream: hashString(fnvOffset, "studio"), held: true})
	one.peers[2] = &peer{word: 3}
	f.Add(one.word(nil, time.Now()))
	f.Add([]byte{})
	f.Add([]byte("a word that is none"))
	w := newWorld(f, nil, "a")
	d := w.delegator(func(o *Options) { o.Bus = &testBus{} })
	f.Fuzz(func(t *testing.T, word []byte) {
		before := d.awaiting()
		d.hear(word)
		if n := d.awaiting() - before; n < 0 || n > int64(len(word)/entrySize) {
			t.Fatalf("%d viewers in %d bytes", n, len(word))
		}
	})
}
