package house

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/house/roster"
	"github.com/stream-pump/stream-pump/house/web"
)

// Everything that page and API change goes through one interface; what is refused is told in
// its words.
func TestSteering(t *testing.T) {
	h := start(t, configured(t, t.TempDir(), `
signing: {keys: [{name: k, secret: "0123456789abcdef"}]}
streams: [{path: Studio, type: mmsh_push, publish: {user: u, password: hush}}]
`))
	s, ctx := h.Steering(), within(t)
	revision, err := s.PutPump(ctx, roster.Pump{ID: "a", Enabled: true}, 0)
	if err != nil || revision != s.PumpRevision("a") || revision == 0 {
		t.Fatalf("%d, %v", revision, err)
	}
	if _, err := s.PutPump(ctx, roster.Pump{ID: "a"}, revision+100); !errors.Is(err, web.ErrChanged) {
		t.Errorf("an old revision: %v", err)
	}
	if err := s.DeletePump(ctx, "nobody", 0); !errors.Is(err, web.ErrNotFound) {
		t.Errorf("%v", err)
	}
	if err := s.SetKey(ctx, "nobody", "x"); !errors.Is(err, web.ErrNotFound) {
		t.Errorf("%v", err)
	}
	if _, err := s.Kick(ctx, "a", nil, []string{"anna"}, "test"); !errors.Is(err, web.ErrUnreachable) {
		t.Errorf("%v", err)
	}
	if _, err := s.Inspect(ctx, "a", nil, []string{"anna"}); !errors.Is(err, web.ErrUnreachable) {
		t.Errorf("%v", err)
	}
	streams := s.Streams()
	if len(streams) != 1 || streams[0].Path != "Studio" || strings.Contains(string(streams[0].Settings), "hush") {
		t.Errorf("%+v", streams)
	}
	if _, _, err := s.PutStream(ctx, json.RawMessage(streams[0].Settings), streams[0].Revision); err != nil {
		t.Error(err)
	}
	if st, _ := h.Registry().State().Stream("studio"); st.Config.Publish.Password != "hush" {
		t.Error("sending back what was shown has changed a secret")
	}
	if err := s.DeleteStream(ctx, "none", 0); !errors.Is(err, web.ErrNotFound) {
		t.Errorf("%v", err)
	}
	var problems config.Problems
	if err := s.ImportRoster(ctx, "x.json", []byte(`[{"id": "a b"}]`)); !errors.As(err, &problems) {
		t.Errorf("%v", err)
	}
	if err := s.ImportRoster(ctx, "x.json", s.ExportRoster()); err != nil {
		t.Error(err)
	}
	if _, err := s.Invite(ctx, "a", 0); err != nil {
		t.Error(err)
	}
	if err := s.Revoke(ctx, "00"); !errors.Is(err, web.ErrNotFound) || len(s.Certificates()) != 0 {
		t.Errorf("%v", err)
	}
	token, text, err := s.CreateToken(ctx, "x", "look", 0)
	if err != nil || len(s.Tokens()) != 1 {
		t.Fatal(err)
	}
	if got, ok := s.CheckToken(text); !ok || got.ID != token.ID {
		t.Errorf("%+v", got)
	}
	if err := s.DeleteToken(ctx, token.ID); err != nil {
		t.Error(err)
	}
	signed(t, s)
}

func signed(t *testing.T, s web.Steering) {
	t.Helper()
	address, expires, err := s.Sign("studio", "anna", time.Hour, netip.MustParsePrefix("192.0.2.0/24"))
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil || u.Path != "/streams/Studio" {
		t.Fatalf("%s, %v", address, err)
	}
	ring, err := access.NewKeyring([]access.Key{{Name: "k", Secret: "0123456789abcdef"}})
	if err != nil {
		t.Fatal(err)
	}
	r := &http.Request{URL: u}
	q := r.URL.Query()
	g, _, err := ring.Verify("studio", access.Query{ID: q.Get("id"), Expires: q.Get("expires"), Network: q.Get("ip"), Signature: q.Get("sig")}, time.Now(), netip.MustParseAddr("192.0.2.7"))
	if err != nil || g.ID != "anna" || !g.Expires.Equal(expires) {
		t.Errorf("%+v, %v", g, err)
	}
	if _, _, err := s.Sign("none", "", time.Hour, netip.Prefix{}); !errors.Is(err, web.ErrNotFound) {
		t.Errorf("%v", err)
	}
}
