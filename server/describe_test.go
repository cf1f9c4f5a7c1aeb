package server

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/mmsh"
)

// describable is a world on air with a few packets in its ring.
func describable(t *testing.T) (*world, *encoder) {
	t.Helper()
	w := newWorld(t, plan{})
	e := w.onAir()
	e.send(25)
	return w, e
}

func TestDescribe(t *testing.T) {
	w, e := describable(t)
	for _, tc := range []struct{ name, request string }{
		{"MUST-D1 from a player below version 9", describe(oldAgent)},
		{"MUST-D1 from VLC", describe(vlcAgent)},
		{"MUST-D1 from a player of version 12", describe(newAgent)},
		{"MUST-D1 from a player without a version", describe("NSPlayer")},
		{"MUST-D1 from another server", describe("NSServer/9.6.7600.16564")},
		{"MUST-D1 xPlayStrm=0 is no Play", describe(oldAgent, pragma("xPlayStrm=0"))},
		{"MUST-D5 a query does not change the stream", strings.Replace(describe(oldAgent), "/x ", "/x?MSWMExt=.asf ", 1)},
		{"MUST-D5 a sloppy query", strings.Replace(describe(oldAgent), "/x ", "/x?&MSWMExt=.asf ", 1)},
		{"MUST-D5 experiments are not echoed", describe(newAgent, pragma("packet-pair-experiment=1, pipeline-experiment=1"))},
		{"MUST-D6 many Pragma lines in any case", describe(oldAgent, "pragma: NO-CACHE", "PRAGMA: Rate=1.000,Stream-Time=0", "PrAgMa: request-context=1")},
		{"MUST-D6 unknown and malformed tokens", describe(oldAgent, pragma(`=,,;"open, x=y=z, client-id=, xClientGUID={0xbabac001-0x}`))},
		{"MUST-D6 Range and Icy-MetaData", describe(oldAgent, "Range: bytes=0-", "Icy-MetaData: 1")},
		{"MUST-D6 two headers run together", describe(oldAgent, pragma("no-cache,rate=1.000000,stream-time=0Connection: Close"))},
		{"MUST-D8 HTTP/1.1", strings.Replace(describe(oldAgent), "HTTP/1.0", "HTTP/1.1", 1)},
		{"path in capitals", strings.Replace(describe(oldAgent), "/streams/x", "/STREAMS/X", 1)},
		{"path with a slash behind it", strings.Replace(describe(oldAgent), "/streams/x", "/streams/x/", 1)},
		{"absolute address", strings.Replace(describe(oldAgent), "/streams/x", "http://pump.example:8086/streams/x", 1)},
		{"asked to keep the connection by an old client", describe(oldAgent, "Connection: Keep-Alive")},
		{"lines end in a bare line feed", strings.ReplaceAll(describe(oldAgent), "\r\n", "\n")},
		{"lines end in a bare line feed but for the last", strings.ReplaceAll(strings.TrimSuffix(describe(oldAgent), "\r\n"), "\r\n", "\n") + "\r\n"},
		{"with a body, which is passed over", strings.Replace(describe(oldAgent), "\r\n\r\n", "\r\nContent-Length: 5\r\n\r\nhello", 1)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := w.dial()
			c.TB = t
			r := c.ask(tc.request)
			c.ended()
			checkDescribe(t, r, e.raw)
			_, v9 := r.header["Supported"]
			if want := strings.Contains(tc.request, newAgent) || strings.Contains(tc.request, "NSServer/9"); v9 != want {
				t.Errorf("MUST-D4: Supported header: %v, want %v", v9, want)
			}
		})
	}
}

// checkDescribe holds a reply against the checklist.
func checkDescribe(t *testing.T, r reply, raw []byte) {
	t.Helper()
	if r.status != 200 || r.reason != "OK" {
		t.Fatalf("MUST-D8: %d %s", r.status, r.reason)
	}
	if got := r.header.Get("Content-Type"); got != "application/vnd.ms.wms-hdr.asfv1" {
		t.Errorf("MUST-D1: Content-Type %q", got)
	}
	if len(r.body) != mmsh.DataHeadSize+len(raw) {
		t.Fatalf("MUST-D1: body of %d bytes, want %d", len(r.body), mmsh.DataHeadSize+len(raw))
	}
	f, err := readFrame(bytes.NewReader(r.body))
	if err != nil {
		t.Fatalf("MUST-D1: %v", err)
	}
	if f.typ != mmsh.TypeHeader || f.location != 0 || f.flags != 0x0C || !bytes.Equal(f.payload, raw) {
		t.Errorf("MUST-D1: $%c location %d flags %#x, %d bytes", f.typ, f.location, f.flags, len(f.payload))
	}
	if _, err := asf.ParseHeader(f.payload); err != nil {
		t.Errorf("header: %v", err)
	}
	checkPragma(t, r)
	checkEvery(t, r)
}

func checkPragma(t *testing.T, r reply) {
	t.Helper()
	tokens := mmsh.ParseTokens(r.header)
	r.clientID(t)
	if !tokens.Has("no-cache") {
		t.Error("MUST-D2: no no-cache")
	}
	features, _ := tokens.Get("features")
	if !strings.HasPrefix(features, "broadcast") || strings.Contains(features, "seekable") {
		t.Errorf("MUST-D2: features %q", features)
	}
	if timeout, _ := tokens.Uint32("timeout"); timeout < 1000 {
		t.Errorf("MUST-D2: timeout %d", timeout)
	}
	if tokens.Has("pipeline-experiment") || tokens.Has("packet-pair-experiment") {
		t.Error("MUST-D5: an experiment is echoed")
	}
}

var serverProduct = regexp.MustCompile(`^(Rex|Cougar)/\d+\.\d+`)

// checkEvery is what holds for every reply.
func checkEvery(t *testing.T, r reply) {
	t.Helper()
	if got := r.header.Get("Server"); !serverProduct.MatchString(got) {
		t.Errorf("MUST-D3: Server %q", got)
	}
	if got := r.header.Get("Cache-Control"); got != "no-cache" {
		t.Errorf("MUST-D3: Cache-Control %q", got)
	}
	if got := r.header.Get("Connection"); !strings.EqualFold(got, "close") {
		t.Errorf("Connection: %q", got)
	}
	if r.header.Get("Transfer-Encoding") != "" {
		t.Error("a transfer coding")
	}
}

func TestDescribeNamesAFreshSession(t *testing.T) {
	w, _ := describable(t)
	seen := map[uint32]bool{}
	for range 20 {
		id := w.dial().ask(describe(oldAgent)).clientID(t)
		if seen[id] {
			t.Fatalf("MUST-D2: client-id %d twice", id)
		}
		seen[id] = true
	}
}

func TestDescribeOfASession(t *testing.T) {
	w, _ := describable(t)
	first := w.dial().ask(describe(newAgent))
	id := first.clientID(t)
	if _, reset := first.pragma("xresetstrm"); reset {
		t.Error("xResetStrm to a client that named no session")
	}
	again := w.dial().ask(describe(newAgent, pragma("client-id="+text(id))))
	if _, reset := again.pragma("xresetstrm"); reset || again.clientID(t) != id {
		t.Errorf("a known session becomes %q", again.header["Pragma"])
	}
	other := w.dial().ask(describe(newAgent, pragma("client-id="+text(id+1))))
	if v, _ := other.pragma("xresetstrm"); v != "1" || other.clientID(t) == id+1 {
		t.Errorf("MUST-D7: unknown client-id %d gets %q", id+1, other.header["Pragma"])
	}
}

func TestDescribeOnAKeptConnection(t *testing.T) {
	w, e := describable(t)
	c := w.dial()
	for range 3 { // version 9 and above, and asked for by name
		r := c.ask(describe(newAgent, "Connection: Keep-Alive"))
		if got := r.header.Get("Connection"); !strings.EqualFold(got, "keep-alive") {
			t.Fatalf("Connection: %q", got)
		}
	}
	r := c.ask(play(newAgent))
	if r.status != 200 {
		t.Fatalf("Play on the kept connection: %d", r.status)
	}
	c.header(e)
	c.data()
}

func TestDescribeLeavesNoPlaceTaken(t *testing.T) {
	w, _ := describable(t)
	w.dial().ask(describe(oldAgent))
	if u := w.limits.Usage(); u.Viewers != 0 {
		t.Errorf("%+v", u)
	}
}
