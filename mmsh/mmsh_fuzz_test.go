package mmsh

import (
	"bufio"
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// framedSeeds are bodies as encoders and servers send them; captures join in where they are.
func framedSeeds(f *testing.F) {
	head := asfHeader(5461)
	seeds := [][]byte{
		testdata(f, "ffmpeg-asf_stream.bin"),
		cat(pushH(head), pushD(packetA[:300]), AppendEnd(nil, 1), pushC(newHeader), pushD(packetB), pushF(9)),
		cat(AppendHeader(nil, asfHeader(70_000)), pullD(50291, packetB), AppendChange(nil, 0), pullH(newHeader), pullD(0, packetB)),
		cat(pairs(420, 20), pullH(newHeader)),
		unhex("24450c00 01000000 000c0c00 00000000"),
	}
	for _, folder := range []string{os.Getenv("STREAM_PUMP_FIXTURES"), "../../shared/fixtures"} {
		names, _ := filepath.Glob(filepath.Join(folder, "mmsh", "*-framed.bin"))
		for _, name := range names {
			if b, err := os.ReadFile(name); err == nil {
				seeds = append(seeds, b)
			}
		}
	}
	for _, s := range seeds {
		f.Add(s, true, false)
		f.Add(s, false, true)
	}
}

// FuzzDecode: whatever the bytes, decoding stays in bounds, and what it accepts can be encoded again and decodes to the
// same events (MUST-R4).
func FuzzDecode(f *testing.F) {
	framedSeeds(f)
	f.Fuzz(func(t *testing.T, body []byte, pull, push bool) {
		framing, role := PushFraming, Pull
		if pull {
			framing = PullFraming
		}
		if push {
			role = Push
		}
		list, _ := decodeAll(body, framing, role)
		total := 0
		for _, fr := range list {
			total += len(fr.Payload) + len(fr.Header)
		}
		if total > len(body) {
			t.Fatalf("%d bytes out of %d", total, len(body))
		}
		sameAgain(t, list, framing, role)
	})
}

// sameAgain encodes frames, decodes the result and encodes that. Only the Reason of a push $C, which the protocol fixes
// at 0, is not kept.
func sameAgain(t *testing.T, list []Frame, framing Framing, role Role) {
	wire := encode(t, list, framing)
	again, err := decodeAll(wire, framing, role)
	if err != nil {
		t.Fatalf("what was decoded does not decode again: %v", err)
	}
	if !bytes.Equal(encode(t, again, framing), wire) {
		t.Fatal("the second encoding differs from the first")
	}
	i := 0
	for _, fr := range list {
		if fr.Kind == Skip {
			continue
		}
		if i >= len(again) || again[i].Kind != fr.Kind || !bytes.Equal(again[i].Header, fr.Header) ||
			(again[i].Reason != fr.Reason && !(fr.Kind == Change && framing == PushFraming)) || (fr.Kind == Packet && !bytes.Equal(again[i].Payload, fr.Payload)) {
			t.Fatalf("frame %d, a %v, came back otherwise", i, fr.Kind)
		}
		i++
	}
}

func FuzzDetectFraming(f *testing.F) {
	for _, s := range []string{"3026b275", "24485515 3026b275", "24483103 00000000 000c3103 3026b275", "24", ""} {
		f.Add(unhex(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, need, err := DetectFraming(b)
		if open := got == FramingUnknown && err == nil; open != (need > len(b)) || need > DetectBytes {
			t.Fatalf("%v, need %d of %d, %v", got, need, len(b), err)
		}
	})
}

func FuzzTokens(f *testing.F) {
	for _, e := range exchanges {
		req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(crlf(e.text))))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(strings.Join(req.Header["Pragma"], "\n"))
	}
	f.Add(`features="broadcast,playlist", log-line=a,b`)
	f.Fuzz(func(t *testing.T, s string) {
		lines := strings.Split(s, "\n")
		size := 0
		for _, tok := range ParseTokens(http.Header{"Pragma": lines}) {
			size += len(tok.Value)
			if tok.Name == "" || strings.ContainsAny(tok.Name, "=") {
				t.Fatalf("token %q", tok)
			}
		}
		if size > len(s) {
			t.Fatalf("%d bytes of values out of %d", size, len(s))
		}
	})
}

func FuzzAgent(f *testing.F) {
	for _, s := range []string{
		"NSPlayer/4.1.0.3856", "NSPlayer/12.0.7601.17514 WMFSDK/12.0", "NSPlayer", "WMCacheProxy/9.0; via WMCacheProxy/9.0",
		"WMEncoder/12.0.7600.16385", "Mozilla/5.0 (X11)", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a := ParseAgent(s)
		if a.Major < 0 || a.Minor < 0 || a.Major > 0xFFFF || a.Minor > 0xFFFF || len(a.Name) > maxAgentName {
			t.Fatalf("%+v", a)
		}
		if !a.Old() && (!a.MMSH || a.Major < 9) {
			t.Fatalf("%+v is taken for 9.0 or above", a)
		}
	})
}

func FuzzPlaylist(f *testing.F) {
	f.Add(AppendASX(nil, "a & b", "http://h/x?MSWMExt=.asf", "mms://h/x"))
	f.Add(AppendTextPlaylist(nil, "http://h/x", "mms://h/x"))
	f.Add([]byte("<asx><ref\n href = mms://a/?b&c /><!-- x --><entryref href='y'>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := ParsePlaylist(b)
		if (err == nil) != (len(list) > 0) || len(list) > maxPlaylistEntries {
			t.Fatalf("%d entries, %v", len(list), err)
		}
		for _, u := range list {
			if len(u) > maxPlaylistURL || strings.ContainsAny(u, "\r\n\x00") {
				t.Fatalf("address %q", u)
			}
		}
	})
}

func FuzzClassify(f *testing.F) {
	for _, e := range exchanges {
		f.Add([]byte(crlf(e.text)))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
		if err != nil {
			return
		}
		r := Classify(req.Method, req.Header)
		if r.Kind > HeadWeb || len(r.StreamSwitch) > maxSwitchEntry || len(r.Tokens) > maxTokens {
			t.Fatalf("%+v", r)
		}
		if r.Kind == Describe && !r.Agent.MMSH {
			t.Fatalf("MUST-P9: %+v", r)
		}
		if r.Kind != r.ForSession(req.Method, true) {
			t.Fatal("a known session changed the kind")
		}
	})
}
