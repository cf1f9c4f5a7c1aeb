package tool

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/pump"
)

const servedBefore = "listen: [127.0.0.1:0]\nadmin: {listen: 127.0.0.1:0}\ndrain: {timeout: 1s}\n"

// startAdministered runs a pump with an admin port that can compare configurations.
func startAdministered(t *testing.T, streams string) *pump.Pump {
	t.Helper()
	parse := func(name string, text []byte) (*config.Config, error) { return config.Parse("etc/"+name, text, nil) }
	cfg, err := parse("pump.yaml", []byte(servedBefore+streams))
	if err != nil {
		t.Fatal(err)
	}
	p, err := pump.Start(cfg, pump.Options{Parse: parse})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop(t.Context()) })
	return p
}

// The pump says what a reload would do to those who watch at this moment, and does
// nothing of it.
func TestDiffOfARunningPump(t *testing.T) {
	p := startAdministered(t, "streams: [{path: a, type: test_card}, {path: b, type: test_card}]\n")
	admin := p.AdminAddr().String()
	for _, path := range []string{"a", "a", "b"} {
		watchCard(t, p, path)
	}
	for _, c := range []struct {
		name, streams string
		want          []string // effect: text viewers
		disturbed     int
		text          string
	}{
		{"nothing", "streams: [{path: a, type: test_card}, {path: b, type: test_card}]\n", nil, 0, "Nothing differs.\n"},
		{"one stream goes", "streams: [{path: a, type: test_card}]\n", []string{"end stream b: removed 1"}, 1,
			"end (viewers get the end of the stream):\n  stream b: removed, 1 viewer\n\nA reload would apply all of this and disturb 1 viewer.\n"},
		{"a source changes", "streams: [{path: a, type: mmsh_push}, {path: b, type: test_card}]\n",
			[]string{"source stream a type: test_card → mmsh_push 2"}, 2, ""},
		{"more sources stand by", "streams: [{path: a, type: test_card, sources: [{type: test_card}, {type: test_card}]}, {path: b, type: test_card}]\n",
			[]string{"next stream a sources: [] → [test_card, test_card] 0"}, 0, ""},
		{"a limit", "limits: {viewers: 1}\nstreams: [{path: a, type: test_card}, {path: b, type: test_card}]\n",
			[]string{"live limits.viewers: 0 → 1 0"}, 0,
			"live (at once, nobody notices):\n  limits.viewers: 0 → 1\n\nA reload would apply all of this and disturb nobody.\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := AskDiff(t.Context(), admin, "next.yaml", []byte(servedBefore+c.streams))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, x := range r.Changes {
				got = append(got, strings.Join([]string{x.Effect, x.Text, string(rune('0' + x.Viewers))}, " "))
			}
			if !slices.Equal(got, c.want) || r.Disturbed != c.disturbed || !r.Running || r.Refused() {
				t.Errorf("got %q, %d disturbed, running %v; want %q, %d", got, r.Disturbed, r.Running, c.want, c.disturbed)
			}
			var b strings.Builder
			if err := r.WriteText(&b); err != nil || c.text != "" && b.String() != c.text {
				t.Errorf("text %q, want %q (%v)", b.String(), c.text, err)
			}
		})
	}
	if len(p.Streams()) != 2 {
		t.Error("asking has changed something")
	}
}

func TestDiffSaysWhatWouldBeRefused(t *testing.T) {
	p := startAdministered(t, "streams: []\n")
	r, err := AskDiff(t.Context(), p.AdminAddr().String(), "next.yaml", []byte(servedBefore+"event_loops: 7\nstreams: []\n"))
	if err != nil || !r.Refused() || !slices.Equal(r.NeedsRestart, []string{"event_loops"}) {
		t.Errorf("%+v %v", r, err)
	}
}

// What the pump finds wrong has its place in the file, as if it were read here.
func TestDiffTellsProblems(t *testing.T) {
	p := startAdministered(t, "streams: []\n")
	_, err := AskDiff(t.Context(), p.AdminAddr().String(), "next.yaml", []byte("prot: 1\nstreams: []\n"))
	var problems config.Problems
	if !errors.As(err, &problems) || problems.Error() != `etc/next.yaml:1:1: unknown key "prot" (did you mean "port"?)` {
		t.Errorf("%v", err)
	}
}

func TestDiffOfWhatIsNoPump(t *testing.T) {
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<html>"))
	}))
	defer page.Close()
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("[1"))
	}))
	defer broken.Close()
	for admin, want := range map[string]string{
		"127.0.0.1:1":                 "no pump answers at http://127.0.0.1:1",
		page.URL:                      "is no admin port of a stream-pump",
		broken.URL:                    "reading the answer",
		"nix":                         `"nix" is no admin port`,
		"http://[::1%":                "is no host and port",
		"http://u:geheim@127.0.0.1:1": "no pump answers at",
	} {
		_, err := AskDiff(t.Context(), admin, "x.yaml", []byte("streams: []\n"))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v, want %q", admin, err, want)
		}
	}
	if _, err := AskDiff(t.Context(), "127.0.0.1:1", "x.yaml", nil); !errors.Is(err, ErrNoPump) {
		t.Errorf("%v is no ErrNoPump", err)
	}
}

// Names without a host are those of this machine.
func TestAdminURL(t *testing.T) {
	for in, want := range map[string]string{
		":8087": "http://127.0.0.1:8087", "0.0.0.0:8087": "http://127.0.0.1:8087", "[::]:8087": "http://127.0.0.1:8087",
		"[2001:db8::1]:80": "http://[2001:db8::1]:80", "pump.example:1": "http://pump.example:1", "https://pump.example/": "https://pump.example",
	} {
		if got, err := adminURL(in); err != nil || got != want {
			t.Errorf("%s: %s %v, want %s", in, got, err, want)
		}
	}
}

// watchCard watches a stream, as plain ASF, until the end of the test.
func watchCard(t *testing.T, p *pump.Pump, path string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var resp *http.Response
	worldtest.Eventually(t, path+" can be watched", func() bool {
		var err error
		if resp, err = client.Get("http://" + p.Addr().String() + "/streams/" + path + ".asf"); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusOK {
			_ = resp.Body.Close()
		}
		return resp.StatusCode == http.StatusOK
	})
	t.Cleanup(func() { _ = resp.Body.Close() })
	if _, err := resp.Body.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}
