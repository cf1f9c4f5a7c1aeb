package house

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/live"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1"))
}

// configured writes a configuration, and returns what reads it.
func configured(t *testing.T, dir, more string) func() (*config.House, error) {
	t.Helper()
	file := filepath.Join(dir, "house.yaml")
	text := "listen: ['127.0.0.1:0']\nssl_listen: ['127.0.0.1:0']\nname: test\ndata: data\nssl_names: [localhost, 127.0.0.1]\n" + more
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return func() (*config.House, error) { return config.LoadHouse(file, nil) }
}

func start(t *testing.T, load func() (*config.House, error)) *House {
	t.Helper()
	cfg, err := load()
	if err != nil {
		t.Fatal(err)
	}
	h, err := Start(within(t), cfg, Options{Load: load, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func writeRoster(t *testing.T, dir, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "pumps.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func ids(h *House) string {
	var list []string
	for _, p := range h.Fleet().View().Pumps {
		list = append(list, p.ID())
	}
	return strings.Join(list, " ")
}

// client trusts the house's own authority.
func client(t *testing.T, h *House) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(h.Registry().State().Authority.Certificate())
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 30 * time.Second}
}

func get(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// A house whose files say something serves it, over TLS of its own authority, and what page
// and API have changed is there after a restart.
func TestAHouseIsStartedAgain(t *testing.T) {
	dir := t.TempDir()
	writeRoster(t, dir, `[{"id": 0, "title": "Ottawa"}, {"id": "calgary", "parent_id": 0}]`)
	load := configured(t, dir, "pumps_roster_json: pumps.json\nstreams: [{path: studio, type: test_card}]\n")
	h := start(t, load)
	if ids(h) != "0 calgary" || len(h.Fleet().View().Streams) != 1 {
		t.Fatalf("pumps %s, streams %v", ids(h), h.Fleet().View().Streams)
	}
	c := client(t, h)
	if code, _ := get(t, c, "https://"+h.TLSAddr().String()+"/readyz"); code != http.StatusOK {
		t.Errorf("readyz: %d", code)
	}
	if code, body := get(t, http.DefaultClient, "http://"+h.Addr().String()+"/ca.pem"); code != http.StatusOK || !strings.Contains(body, "BEGIN CERTIFICATE") {
		t.Errorf("ca.pem: %d %s", code, body)
	}
	p, _, _ := h.Registry().State().Pump("calgary")
	p.Draining = true
	if _, err := h.Registry().PutPump(within(t), p, 0); err != nil {
		t.Fatal(err)
	}
	ca := h.Registry().State().Authority.PEM()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := h.Stop(ctx); err != nil {
		t.Error(err)
	}
	h = start(t, load)
	if !h.Fleet().View().Pump("calgary").Wanted().Draining {
		t.Error("the drain is forgotten")
	}
	if !bytes.Equal(ca, h.Registry().State().Authority.PEM()) {
		t.Error("it has another authority")
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestAReloadTakesOverWhatTheFilesSay(t *testing.T) {
	dir := t.TempDir()
	writeRoster(t, dir, `[{"id": 0}]`)
	load := configured(t, dir, "pumps_roster_json: pumps.json\n")
	h := start(t, load)
	writeRoster(t, dir, `[{"id": 0}, {"id": 1}]`)
	configured(t, dir, "pumps_roster_json: pumps.json\nfallback_url: https://example.org\nstreams: [{path: studio, type: test_card}]\n")
	if err := h.Reload(within(t)); err != nil {
		t.Fatal(err)
	}
	if ids(h) != "0 1" || len(h.Fleet().View().Streams) != 1 || h.cfg.Load().FallbackURL != "https://example.org" {
		t.Errorf("pumps %s, streams %v", ids(h), h.Fleet().View().Streams)
	}
	configured(t, dir, "pumps_roster_json: pumps.json\nid_parameter: who\n")
	if err := h.Reload(within(t)); !errors.Is(err, ErrNeedsRestart) || !strings.Contains(err.Error(), "id_parameter") {
		t.Errorf("%v", err)
	}
	if len(h.Fleet().View().Streams) != 1 {
		t.Error("a refused reload has changed something")
	}
	writeRoster(t, dir, `[{"id": 0}, {"id": 0`)
	configured(t, dir, "pumps_roster_json: pumps.json\n")
	var problems config.Problems
	if err := h.Reload(within(t)); !errors.As(err, &problems) {
		t.Errorf("a roster that is cut in half: %v", err)
	}
	if ids(h) != "0 1" || len(h.Fleet().View().Streams) != 1 {
		t.Error("a refused reload has changed something")
	}
}

// The commands reach the house that runs.
func TestTheDeskOfARunningHouse(t *testing.T) {
	dir := t.TempDir()
	load := configured(t, dir, "")
	h := start(t, load)
	cfg, err := load()
	if err != nil {
		t.Fatal(err)
	}
	d, err := OpenDesk(within(t), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Import(within(t), "pumps.json", []byte(`[{"id": "calgary", "key": "hush"}]`)); err != nil {
		t.Fatal(err)
	}
	if ids(h) != "calgary" {
		t.Error(ids(h))
	}
	text, err := d.Export(within(t))
	if err != nil || !bytes.Contains(text, []byte(`"calgary"`)) || bytes.Contains(text, []byte("hush")) {
		t.Errorf("%s, %v", text, err)
	}
	a, err := d.Invite(within(t), "calgary", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if i, err := fleet.ParseInvite(a.Invite); err != nil || !i.IsCA(h.Registry().State().Authority.Certificate()) || time.Until(a.Expires) > time.Hour {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := d.Invite(within(t), "nobody", 0); err == nil {
		t.Error("an invite for nobody")
	}
	var problems config.Problems
	if err := d.Import(within(t), "pumps.json", []byte(`[{"id": "a b"}]`)); !errors.As(err, &problems) || problems[0].File != "pumps.json" || problems[0].Column != 9 {
		t.Errorf("%v", err)
	}
	info, err := os.Stat(ControlSocket(cfg.Data))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := Start(within(t), cfg, Options{}); err == nil {
		t.Error("a second house runs with the same folder")
	}
}

// Secrets go over TLS, from this machine, or by way of a trusted proxy that took TLS off.
func TestWhoIsSecure(t *testing.T) {
	h := start(t, configured(t, t.TempDir(), "trusted_proxies: [10.0.0.0/8]\n"))
	for name, tt := range map[string]struct {
		remote, proto, from string
		tls, want           bool
	}{
		"TLS":                           {remote: "192.0.2.1:1", tls: true, want: true},
		"plain":                         {remote: "192.0.2.1:1"},
		"plain, and it says https":      {remote: "192.0.2.1:1", proto: "https"},
		"this machine":                  {remote: "127.0.0.1:1", want: true},
		"this machine, IPv6":            {remote: "[::1]:1", want: true},
		"this machine, mapped":          {remote: "[::ffff:127.0.0.1]:1", want: true},
		"a proxy that took TLS off":     {remote: "10.0.0.1:1", proto: "https", from: "192.0.2.1", want: true},
		"a proxy of plain":              {remote: "10.0.0.1:1", proto: "http", from: "192.0.2.1"},
		"a proxy that does not say":     {remote: "10.0.0.1:1", from: "192.0.2.1"},
		"a proxy that says it is local": {remote: "10.0.0.1:1", proto: "http", from: "127.0.0.1"},
		"nonsense":                      {remote: "nonsense"},
	} {
		r := &http.Request{RemoteAddr: tt.remote, Header: http.Header{}}
		if tt.tls {
			r.TLS = &tls.ConnectionState{}
		}
		if tt.proto != "" {
			r.Header.Set("X-Forwarded-Proto", tt.proto)
		}
		if tt.from != "" {
			r.Header.Set("X-Forwarded-For", tt.from)
		}
		if got := h.secure(r); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A pump joins a house that runs, with nothing but what an invite says.
func TestAPumpJoinsOverTLS(t *testing.T) {
	dir := t.TempDir()
	writeRoster(t, dir, `[{"id": "calgary", "key": "hush"}]`)
	h := start(t, configured(t, dir, "pumps_roster_json: pumps.json\nstreams: [{path: studio, type: test_card}]\n"))
	c := client(t, h)
	base := "https://" + h.TLSAddr().String()
	hello, err := json.Marshal(fleet.Hello{Pump: "calgary", Boot: fleet.NewBoot(), Port: 8086})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(within(t), http.MethodPost, base+fleet.PathHello, bytes.NewReader(hello))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("calgary", "hush")
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	var w fleet.Welcome
	if err := json.NewDecoder(resp.Body).Decode(&w); err != nil || w.Check() != nil || w.House != "test" {
		t.Errorf("%+v, %v", w, err)
	}
	_ = resp.Body.Close()
	if r, err = http.NewRequestWithContext(within(t), http.MethodGet, base+fleet.PathConfig, nil); err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.Session)
	if resp, err = c.Do(r); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var cfg fleet.Config
	if err := json.NewDecoder(resp.Body).Decode(&cfg); err != nil || cfg.Check("calgary") != nil || !strings.Contains(string(cfg.Settings), "studio") {
		t.Errorf("%+v, %v", cfg, err)
	}
}

// Connections of trusted proxies begin with the PROXY protocol; others are taken as they are.
func TestTheProxyProtocol(t *testing.T) {
	h := start(t, configured(t, t.TempDir(), "proxy_protocol: true\ntrusted_proxies: [127.0.0.1]\n"))
	ask := func(first string) string {
		c, err := net.Dial("tcp", h.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := fmt.Fprintf(c, "%sPOST %s HTTP/1.0\r\n\r\n", first, fleet.PathHello); err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(c) // whatever came before the end
		return string(b)
	}
	if got := ask("PROXY TCP4 192.0.2.7 192.0.2.1 5000 80\r\n"); !strings.Contains(got, fleet.CodeInsecure) {
		t.Errorf("from elsewhere: %s", got)
	}
	if got := ask("PROXY TCP4 127.0.0.9 192.0.2.1 5000 80\r\n"); !strings.Contains(got, fleet.CodeBadMessage) {
		t.Errorf("from this machine: %s", got)
	}
	if got := ask(""); got != "" {
		t.Errorf("a proxy that sends no header is answered: %s", got)
	}
	if got := ask("PROXY nonsense\r\n"); got != "" {
		t.Errorf("nonsense is answered: %s", got)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	load := configured(t, t.TempDir(), "")
	cfg, err := load()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, cfg, Options{Ready: func(*House) { cancel() }}) }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(60 * time.Second):
		t.Fatal("it does not end")
	}
}

func TestNamesOfHouses(t *testing.T) {
	if got := plain("house-1.example.org"); got != "house-1-example-org" {
		t.Error(got)
	}
	if got := nameOf(&config.House{Name: "x"}); got != "x" {
		t.Error(got)
	}
}

// The parts hang together: a viewer who asks the house is sent to the pump that delivers, as the network says, and
// a reload puts a fallback in force.
func TestViewersAreSentOn(t *testing.T) {
	dir := t.TempDir()
	writeRoster(t, dir, `[{"id": "a", "url": "http://192.0.2.1:8086", "networks": ["127.0.0.0/8"]}]`)
	text := "pumps_roster_json: pumps.json\nstreams: [{path: Studio, type: test_card}]\n"
	h := start(t, configured(t, dir, text))
	c := &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	ask := func() (int, string) {
		resp, err := c.Get("http://" + h.Addr().String() + "/streams/studio?id=anna")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode, resp.Header.Get("Location")
	}
	if code, _ := ask(); code != http.StatusServiceUnavailable {
		t.Errorf("no pump is up: %d", code)
	}
	b := &fleet.Batch{Pump: "a", Boot: fleet.NewBoot(), Number: 1, First: 1, State: &fleet.State{
		Streams: []fleet.StreamState{{Path: "Studio", State: fleet.StreamLive, BPS: 1_000_000}},
	}}
	h.Fleet().Apply(b, live.Direct)
	if code, to := ask(); code != http.StatusFound || to != "http://192.0.2.1:8086/streams/Studio?id=anna" {
		t.Errorf("%d to %s", code, to)
	}
	configured(t, dir, strings.Replace(text, "path: Studio", "path: other", 1)+"fallback_url: https://example.org/sorry\n")
	if err := h.Reload(within(t)); err != nil {
		t.Fatal(err)
	}
	becomes(t, "the stream is gone", func() bool { code, _ := ask(); return code == http.StatusNotFound })
	resp, err := c.Get("http://" + h.Addr().String() + "/streams/other")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if to := resp.Header.Get("Location"); to != "https://example.org/sorry" {
		t.Errorf("%d to %s", resp.StatusCode, to)
	}
}
