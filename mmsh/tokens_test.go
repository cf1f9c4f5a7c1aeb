package mmsh

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func TestParseTokens(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		want  Tokens
	}{
		{"none", nil, nil},
		{"one line", []string{"no-cache,rate=1.000"}, Tokens{{"no-cache", ""}, {"rate", "1.000"}}},
		{"MUST-D6 several lines", []string{"no-cache", "xPlayStrm=1"}, Tokens{{"no-cache", ""}, {"xplaystrm", "1"}}},
		{"MUST-D6 case and blanks", []string{" CLIENT-ID = 7 ,\tNo-Cache "}, Tokens{{"client-id", "7"}, {"no-cache", ""}}},
		{"quotes hide commas", []string{`features="broadcast,playlist", timeout=5`}, Tokens{{"features", "broadcast,playlist"}, {"timeout", "5"}}},
		{"unclosed quote", []string{`a="b,c`, "d=1"}, Tokens{{"a", `"b,c`}, {"d", "1"}}},
		{"lone quote", []string{`a="`}, Tokens{{"a", `"`}}},
		{"value with equals", []string{"a=b=c"}, Tokens{{"a", "b=c"}}},
		{"empty items", []string{",,=x, ,"}, nil},
		{"log-line takes its line", []string{"client-id=3", "log-line=0.0.0.0 2003-01-02, x=1, y", "z=2"},
			Tokens{{"client-id", "3"}, {"log-line", "0.0.0.0 2003-01-02, x=1, y"}, {"z", "2"}}},
		{"Log-Line behind another token", []string{"no-cache,Log-Line=a,b"}, Tokens{{"no-cache", ""}, {"log-line", "a,b"}}},
		{"FFmpeg's merged line", []string{"no-cache,rate=1.000000,stream-time=0Connection: Close"},
			Tokens{{"no-cache", ""}, {"rate", "1.000000"}, {"stream-time", "0Connection: Close"}}},
		{"VLC's GUID", []string{"xClientGUID={0xbabac001-0x1234-0x5678-0x9abc}"}, Tokens{{"xclientguid", "{0xbabac001-0x1234-0x5678-0x9abc}"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := ParseTokens(http.Header{"Pragma": c.lines}); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestTokensAreBounded(t *testing.T) {
	got := ParseTokens(http.Header{"Pragma": {strings.Repeat("a,", 5000), "b"}})
	if len(got) != maxTokens {
		t.Errorf("%d tokens kept", len(got))
	}
}

func TestTokenNumbers(t *testing.T) {
	for _, c := range []struct {
		value string
		want  uint32
		ok    bool
	}{
		{"0", 0, true}, {"42", 42, true}, {"4294967295", 1<<32 - 1, true}, {"4294967296", 0, false},
		{"99999999999999999999999999", 0, false}, {"7Connection: Close", 7, true}, {"-1", 0, false}, {"", 0, false}, {"x1", 0, false},
	} {
		got, ok := Tokens{{"n", c.value}}.Uint32("n")
		if got != c.want || ok != c.ok {
			t.Errorf("%q: %d, %v", c.value, got, ok)
		}
	}
}

func TestLastTokenWins(t *testing.T) {
	tokens := ParseTokens(header("Pragma: client-id=1, xPlayStrm=0", "Pragma: client-id=2, xPlayStrm=1"))
	if id, _ := tokens.Uint32("client-id"); id != 2 || !tokens.one("xplaystrm") {
		t.Errorf("%q", tokens)
	}
	if tokens.Has("absent") {
		t.Error("an absent token was found")
	}
}

func TestParseAgent(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Agent
		old  bool
	}{
		{"NSPlayer/4.1.0.3856", Agent{Name: "NSPlayer", Major: 4, Minor: 1, HasVersion: true, MMSH: true}, true},
		{"NSPlayer/7.10.0.3059", Agent{Name: "NSPlayer", Major: 7, Minor: 10, HasVersion: true, MMSH: true}, true},
		{"NSPlayer/8.0.0.4477", Agent{Name: "NSPlayer", Major: 8, HasVersion: true, MMSH: true}, true},
		{"NSPlayer/9.0.0.2980", Agent{Name: "NSPlayer", Major: 9, HasVersion: true, MMSH: true}, false},
		{"nsplayer/12.0.7601.17514 WMFSDK/12.0", Agent{Name: "nsplayer", Major: 12, HasVersion: true, MMSH: true}, false},
		{"NSPlayer", Agent{Name: "NSPlayer", MMSH: true}, true},
		{"NSPlayer/", Agent{Name: "NSPlayer", MMSH: true}, true},
		{"NSServer/9.6.7600.16564", Agent{Name: "NSServer", Major: 9, Minor: 6, HasVersion: true, MMSH: true}, false},
		{"WMCacheProxy/9.1", Agent{Name: "WMCacheProxy", Major: 9, Minor: 1, HasVersion: true, MMSH: true}, false},
		{"NSPlayer/9.0.0.2980; via WMCacheProxy/9.0", Agent{Name: "NSPlayer", Major: 9, HasVersion: true, MMSH: true, ViaCache: true}, false},
		{"WMEncoder/12.0.7600.16385", Agent{Name: "WMEncoder", Major: 12, HasVersion: true, Encoder: true}, true},
		{"Lavf/59.27.100", Agent{Name: "Lavf", Major: 59, Minor: 27, HasVersion: true}, true},
		{"Mozilla/5.0 (X11)", Agent{Name: "Mozilla", Major: 5, HasVersion: true}, true},
		{"curl", Agent{Name: "curl"}, true},
		{"", Agent{}, true},
		{"NSPlayer/99999999999999.5", Agent{Name: "NSPlayer", Major: 0xFFFF, Minor: 5, HasVersion: true, MMSH: true}, false},
		{"NSPlayerX/9.0", Agent{Name: "NSPlayerX", Major: 9, HasVersion: true}, true},
	} {
		t.Run(c.in, func(t *testing.T) {
			got := ParseAgent(c.in)
			if got != c.want || got.Old() != c.old {
				t.Errorf("got %+v, old %v", got, got.Old())
			}
		})
	}
	if n := len(ParseAgent(strings.Repeat("x", 9999)).Name); n != maxAgentName {
		t.Errorf("name of %d bytes kept", n)
	}
}

func TestStreamSwitch(t *testing.T) {
	for _, c := range []struct {
		name, pragma string
		want         []SwitchEntry
	}{
		{"FFmpeg and libmms", "stream-switch-entry=ffff:1:0 ffff:2:0", []SwitchEntry{{0xFFFF, 1, 1, 0}, {0xFFFF, 2, 2, 0}}},
		{"hexadecimal", "stream-switch-entry=ffff:1b:0 ffff:a:2", []SwitchEntry{{0xFFFF, 27, 27, 0}, {0xFFFF, 10, 10, 2}}},
		{"decimal", "stream-switch-entry=ffff:27:0", []SwitchEntry{{0xFFFF, 0x27, 27, 0}}},
		{"misspelt in the document", "switch-stream-entry=1:2:1", []SwitchEntry{{1, 2, 2, 1}}},
		{"malformed ones left out", "stream-switch-entry=ffff:1 x:y:z 1:2:3:4 ffff:3:0 ffff:99999:0", []SwitchEntry{{0xFFFF, 3, 3, 0}}},
		{"none", "no-cache", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Classify("GET", header("Pragma: "+c.pragma)).StreamSwitch
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
	many := Classify("GET", header("Pragma: stream-switch-entry="+strings.Repeat("ffff:1:0 ", 1000)))
	if len(many.StreamSwitch) != maxSwitchEntry {
		t.Errorf("%d entries kept", len(many.StreamSwitch))
	}
}

func TestStreamSwitchResolve(t *testing.T) {
	exists := func(s uint16) bool { return s == 10 || s == 27 }
	for _, c := range []struct {
		entry string
		want  uint16
		ok    bool
	}{{"ffff:a:0", 10, true}, {"ffff:10:0", 10, true}, {"ffff:1b:0", 27, true}, {"ffff:27:0", 27, true}, {"ffff:5:0", 5, false}} {
		e, _ := switchEntry(c.entry)
		if got, ok := e.Resolve(exists); got != c.want || ok != c.ok {
			t.Errorf("%s: %d, %v", c.entry, got, ok)
		}
	}
}
