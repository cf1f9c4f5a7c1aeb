package registry

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/pki"
	"github.com/stream-pump/stream-pump/house/roster"
	"github.com/stream-pump/stream-pump/house/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a registry over a store in memory, with a clock that the test moves.
type house struct {
	*Registry
	store store.Store
	mu    sync.Mutex
	now   time.Time
}

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *house) later(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

func newHouse(t *testing.T, s store.Store) *house {
	t.Helper()
	h := &house{store: s, now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	r, err := Open(within(t), Options{
		Store: s, Hasher: access.NewHasher(access.HasherOptions{}), Now: h.clock, Invites: 24 * time.Hour, Valid: 90 * 24 * time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	h.Registry = r
	t.Cleanup(r.Close)
	return h
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func file(t *testing.T, text string) *roster.File {
	t.Helper()
	f, err := roster.Parse("r.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// cheap hashes a key at the least cost, for tests of something else.
func cheap(t *testing.T, key string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(key), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func ids(r *roster.Roster) string {
	var list []string
	for _, p := range r.Pumps {
		list = append(list, p.ID)
	}
	return strings.Join(list, " ")
}

func (h *house) put(t *testing.T, pumps ...roster.Pump) {
	t.Helper()
	for _, p := range pumps {
		if _, err := h.PutPump(within(t), p, 0); err != nil {
			t.Fatal(err)
		}
	}
}

func csr(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func TestTwoHousesShareOneAuthorityAndEveryChange(t *testing.T) {
	s := store.NewMemory(nil)
	a, b := newHouse(t, s), newHouse(t, s)
	if !bytes.Equal(a.State().Authority.PEM(), b.State().Authority.PEM()) {
		t.Error("two authorities")
	}
	a.put(t, roster.Pump{ID: "x"}, roster.Pump{ID: "y", Parents: []string{"x"}})
	if err := b.until(within(t), func(s *State) bool { return ids(s.Roster) == "x y" }); err != nil {
		t.Error(err)
	}
}

func TestWhatWasAcknowledgedSurvivesTheHouse(t *testing.T) {
	s := store.NewMemory(nil)
	h := newHouse(t, s)
	h.put(t, roster.Pump{ID: "x", Title: "X"})
	if err := h.SetKey(within(t), "x", cheap(t, "hush")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.PutStream(within(t), []byte(`{"path": "Studio", "type": "test_card"}`), 0); err != nil {
		t.Fatal(err)
	}
	h.Close()
	again := newHouse(t, s).State()
	if st, ok := again.Stream("studio"); ids(again.Roster) != "x" || !again.HasKey("x") || !ok || st.Config.Path != "Studio" {
		t.Errorf("%+v", again)
	}
}

// A change that would break the roster is refused with its reason, and so is one that is
// based on what is no longer there.
func TestChangesOfPumps(t *testing.T) {
	h := newHouse(t, store.NewMemory(nil))
	ctx := within(t)
	h.put(t, roster.Pump{ID: "a"}, roster.Pump{ID: "b", Parents: []string{"a"}})
	var problems config.Problems
	if _, err := h.PutPump(ctx, roster.Pump{ID: "a", Parents: []string{"b"}}, 0); !errors.As(err, &problems) {
		t.Errorf("a circle: %v", err)
	}
	if _, err := h.PutPump(ctx, roster.Pump{ID: "c", Parents: []string{"nobody"}}, 0); !errors.As(err, &problems) {
		t.Errorf("an unknown parent: %v", err)
	}
	if err := h.DeletePump(ctx, "a", 0); !errors.As(err, &problems) {
		t.Errorf("a parent goes: %v", err)
	}
	_, old, _ := h.State().Pump("b")
	if _, err := h.PutPump(ctx, roster.Pump{ID: "b", Draining: true}, old); err != nil {
		t.Error(err)
	}
	if _, err := h.PutPump(ctx, roster.Pump{ID: "b"}, old); !errors.Is(err, store.ErrChanged) {
		t.Errorf("an old revision: %v", err)
	}
	if p, _, _ := h.State().Pump("b"); !p.Draining {
		t.Error("the drain is not in force")
	}
	if err := h.DeletePump(ctx, "b", old); !errors.Is(err, store.ErrChanged) {
		t.Errorf("an old revision: %v", err)
	}
	if err := h.DeletePump(ctx, "b", 0); err != nil {
		t.Error(err)
	}
	if err := h.DeletePump(ctx, "b", 0); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("twice: %v", err)
	}
	if ids(h.State().Roster) != "a" {
		t.Error(ids(h.State().Roster))
	}
}

func TestAFullDiskRefusesChangesAndLosesNothing(t *testing.T) {
	s := store.NewMemory(nil)
	h := newHouse(t, s)
	h.put(t, roster.Pump{ID: "a"})
	s.Fail(store.ErrFull)
	ctx := within(t)
	if _, err := h.PutPump(ctx, roster.Pump{ID: "b"}, 0); !errors.Is(err, store.ErrFull) {
		t.Errorf("%v", err)
	}
	if err := h.DeletePump(ctx, "a", 0); !errors.Is(err, store.ErrFull) {
		t.Errorf("%v", err)
	}
	if err := h.ImportRoster(ctx, file(t, `[{"id": "c", "key": "x"}]`)); !errors.Is(err, store.ErrFull) {
		t.Errorf("%v", err)
	}
	if ids(h.State().Roster) != "a" {
		t.Error(ids(h.State().Roster))
	}
	s.Fail(nil)
	h.put(t, roster.Pump{ID: "b"})
}

func TestKeysAreKeptHashed(t *testing.T) {
	s := store.NewMemory(nil)
	h := newHouse(t, s)
	ctx := within(t)
	h.put(t, roster.Pump{ID: "a"})
	if err := h.SetKey(ctx, "a", "blargleflarghn"); err != nil {
		t.Fatal(err)
	}
	e, err := s.Get(ctx, "key.a")
	if err != nil || !bytes.HasPrefix(e.Value, []byte("$argon2id$")) {
		t.Errorf("%s, %v", e.Value, err)
	}
	for _, tt := range []struct {
		id, key string
		want    bool
	}{{"a", "blargleflarghn", true}, {"a", "wrong", false}, {"a", string(e.Value), false}, {"nobody", "blargleflarghn", false}, {"a", "", false}} {
		if got, err := h.CheckKey(ctx, tt.id, tt.key); got != tt.want || err != nil {
			t.Errorf("%+v: %v, %v", tt, got, err)
		}
	}
	if out := string(h.Export()); strings.Contains(out, "blargleflarghn") || !strings.Contains(out, "$argon2id$") {
		t.Errorf("exported:\n%s", out)
	}
	if err := h.SetKey(ctx, "nobody", "x"); !errors.Is(err, ErrUnknown) {
		t.Errorf("%v", err)
	}
	if err := h.SetKey(ctx, "a", "$2b$wrong"); err == nil {
		t.Error("a hash that is none is taken")
	}
	if err := h.SetKey(ctx, "a", ""); err != nil {
		t.Error(err)
	}
	if err := h.until(ctx, func(s *State) bool { return !s.HasKey("a") }); err != nil {
		t.Error(err)
	}
}

func TestAnInviteIsGoodOnce(t *testing.T) {
	h := newHouse(t, store.NewMemory(nil))
	ctx := within(t)
	h.put(t, roster.Pump{ID: "calgary"})
	text, err := h.Invite(ctx, "calgary", 0, true)
	if err != nil {
		t.Fatal(err)
	}
	invite, err := fleet.ParseInvite(text)
	if err != nil || invite.Pump != "calgary" || !invite.IsCA(h.State().Authority.Certificate()) {
		t.Fatalf("%+v, %v", invite, err)
	}
	if _, err := h.Join(ctx, invite, []byte("nonsense")); !errors.Is(err, pki.ErrRequest) {
		t.Errorf("a request that is none: %v; it does not cost the invite", err)
	}
	var all sync.WaitGroup
	answers := make([]*fleet.CertificateAnswer, 5)
	errs := make([]error, 5)
	requests := make([][]byte, 5)
	for i := range requests {
		requests[i] = csr(t)
	}
	for i := range answers {
		all.Go(func() { answers[i], errs[i] = h.Join(ctx, invite, requests[i]) })
	}
	all.Wait()
	joined := 0
	for i, err := range errs {
		switch {
		case err == nil:
			joined++
			if answers[i].Certificate == "" || answers[i].CA == "" || answers[i].RenewS != 60*24*3600 {
				t.Errorf("%+v", answers[i])
			}
		case !errors.Is(err, ErrInvite):
			t.Error(err)
		}
	}
	if joined != 1 || len(h.State().Certificates) != 1 {
		t.Errorf("%d joined with one invite", joined)
	}
}

func TestInvitesThatAreNoGood(t *testing.T) {
	h := newHouse(t, store.NewMemory(nil))
	ctx := within(t)
	if _, err := h.Invite(ctx, "nobody", 0, false); !errors.Is(err, ErrUnknown) {
		t.Errorf("%v", err)
	}
	h.put(t, roster.Pump{ID: "a"}, roster.Pump{ID: "b"})
	invite := func(id string) fleet.Invite {
		text, err := h.Invite(ctx, id, time.Hour, false)
		if err != nil {
			t.Fatal(err)
		}
		i, err := fleet.ParseInvite(text)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	old := invite("a")
	fresh := invite("a")
	other := fresh
	other.Pump = "b"
	for name, i := range map[string]fleet.Invite{"an older one": old, "for another pump": other, "made up": fleet.NewInvite("a", nil)} {
		if _, err := h.Join(ctx, i, csr(t)); !errors.Is(err, ErrInvite) {
			t.Errorf("%s: %v", name, err)
		}
	}
	h.later(2 * time.Hour)
	if _, err := h.Join(ctx, fresh, csr(t)); !errors.Is(err, ErrInvite) {
		t.Errorf("too old: %v", err)
	}
}

func TestCertificatesAreRenewedAndRevoked(t *testing.T) {
	h := newHouse(t, store.NewMemory(nil))
	ctx := within(t)
	h.put(t, roster.Pump{ID: "a"})
	if _, err := h.Renew(ctx, "nobody", csr(t)); !errors.Is(err, ErrUnknown) {
		t.Errorf("%v", err)
	}
	if _, err := h.Renew(ctx, "a", csr(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Renew(ctx, "a", csr(t)); err != nil {
		t.Fatal(err)
	}
	certificates := h.State().Certificates
	if len(certificates) != 2 {
		t.Fatalf("%d certificates", len(certificates))
	}
	for serial := range certificates {
		if err := h.Revoke(ctx, strings.ToUpper(serial)); err != nil {
			t.Error(err)
		}
		if h.State().Certificates[serial].Revoked.IsZero() {
			t.Error("it is still good")
		}
		break
	}
	if err := h.Revoke(ctx, "00"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%v", err)
	}
	if err := h.DeletePump(ctx, "a", 0); err != nil {
		t.Fatal(err)
	}
	for serial, c := range h.State().Certificates {
		if c.Revoked.IsZero() {
			t.Errorf("%s of a pump that is gone is good", serial)
		}
	}
	h.later(121 * 24 * time.Hour)
	if err := h.Expire(ctx); err != nil {
		t.Error(err)
	}
	if err := h.until(ctx, func(s *State) bool { return len(s.Certificates) == 0 }); err != nil {
		t.Error(err)
	}
}

func TestTokens(t *testing.T) {
	s := store.NewMemory(nil)
	h := newHouse(t, s)
	ctx := within(t)
	if _, _, err := h.CreateToken(ctx, "x", "rule", 0); !errors.Is(err, ErrRole) {
		t.Errorf("%v", err)
	}
	token, text, err := h.CreateToken(ctx, "frontend", "look", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := h.CheckToken(text); !ok || got.Name != "frontend" || got.Role != "look" {
		t.Errorf("%+v", got)
	}
	if e, err := s.Get(ctx, "token."+token.ID); err != nil || strings.Contains(string(e.Value), text) {
		t.Errorf("%s, %v", e.Value, err)
	}
	for _, wrong := range []string{"", text[1:], text[:len(text)-1], text + "a", "pht_" + token.ID + "_", "pht_00_x"} {
		if _, ok := h.CheckToken(wrong); ok {
			t.Errorf("%q is good", wrong)
		}
	}
	h.later(2 * time.Hour)
	if _, ok := h.CheckToken(text); ok {
		t.Error("it is good after its end")
	}
	if err := h.DeleteToken(ctx, token.ID); err != nil {
		t.Error(err)
	}
	if err := h.DeleteToken(ctx, token.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

func TestStreams(t *testing.T) {
	h := newHouse(t, store.NewMemory(nil))
	ctx := within(t)
	path, revision, err := h.PutStream(ctx, []byte(`{"path": "Studio", "type": "mmsh_push", "publish": {"user": "u", "password": "hush"}}`), 0)
	if err != nil || path != "Studio" {
		t.Fatal(err)
	}
	st, _ := h.State().Stream("STUDIO")
	shown := strings.Replace(string(st.Config.JSON(true)), `"Studio"`, `"Studio","takeover":true`, 1)
	if _, _, err := h.PutStream(ctx, []byte(shown), revision); err != nil {
		t.Fatalf("%v\n%s", err, shown)
	}
	if st, _ = h.State().Stream("studio"); st.Config.Publish.Password != "hush" || !st.Config.Takeover {
		t.Errorf("%+v", st.Config)
	}
	if _, _, err := h.PutStream(ctx, []byte(shown), revision); !errors.Is(err, store.ErrChanged) {
		t.Errorf("an old revision: %v", err)
	}
	var problems config.Problems
	if _, _, err := h.PutStream(ctx, []byte(`{"path": "x"}`), 0); !errors.As(err, &problems) {
		t.Errorf("%v", err)
	}
	if err := h.DeleteStream(ctx, "studio", revision); !errors.Is(err, store.ErrChanged) {
		t.Errorf("%v", err)
	}
	if err := h.DeleteStream(ctx, "studio", 0); err != nil {
		t.Error(err)
	}
	if err := h.DeleteStream(ctx, "studio", 0); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

func TestImportMakesTheRosterEqualToTheFile(t *testing.T) {
	h := newHouse(t, store.NewMemory(nil))
	ctx := within(t)
	h.put(t, roster.Pump{ID: "old"}, roster.Pump{ID: "b"})
	if err := h.SetKey(ctx, "b", cheap(t, "kept")); err != nil {
		t.Fatal(err)
	}
	if err := h.ImportRoster(ctx, file(t, `{"pumps": [{"id": "b"}, {"id": 1, "key": "`+cheap(t, "one")+`", "parents": ["b"]}], "expect": ["10.0.0.1 → none"]}`)); err != nil {
		t.Fatal(err)
	}
	if err := h.until(ctx, func(s *State) bool {
		return ids(s.Roster) == "b 1" && s.HasKey("b") && s.HasKey("1") && len(s.Roster.Expectations) == 1
	}); err != nil {
		t.Error(err, ids(h.State().Roster))
	}
	before := h.State()
	if err := h.ImportRoster(ctx, file(t, string(h.Export()))); err != nil {
		t.Fatal(err)
	}
	if after := h.State(); !bytes.Equal(before.Roster.JSON(before.hashes()), after.Roster.JSON(after.hashes())) || after.KeyRevision("1") != before.KeyRevision("1") {
		t.Error("importing what was exported changes something")
	}
	if ok, err := h.CheckKey(ctx, "b", "kept"); !ok || err != nil {
		t.Error("a key that the file does not give is gone")
	}
}

// The files seed the store: what is changed in them is taken over, what page and API have
// changed otherwise stays.
func TestFilesSeedTheStore(t *testing.T) {
	s := store.NewMemory(nil)
	h := newHouse(t, s)
	ctx := within(t)
	seed := func(text string, fresh bool, streams ...string) {
		t.Helper()
		f := Seed{Roster: file(t, text), Fresh: fresh}
		for _, x := range streams {
			c, err := config.ParseStream("s.json", []byte(x), config.Signing{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			f.Streams = append(f.Streams, *c)
		}
		if err := h.Seed(ctx, f); err != nil {
			t.Fatal(err)
		}
	}
	ka := cheap(t, "ka")
	const one, two = `{"path": "one", "type": "test_card"}`, `{"path": "two", "type": "test_card"}`
	seed(`[{"id": "a", "key": "`+ka+`"}, {"id": "b"}, {"id": "c"}]`, true, one, two)
	if ids(h.State().Roster) != "a b c" || len(h.State().Streams) != 2 {
		t.Fatal(ids(h.State().Roster))
	}
	h.put(t, roster.Pump{ID: "api"}, roster.Pump{ID: "b", Draining: true, Enabled: true})
	if err := h.DeletePump(ctx, "c", 0); err != nil {
		t.Fatal(err)
	}
	if err := h.SetKey(ctx, "a", cheap(t, "by hand")); err != nil {
		t.Fatal(err)
	}
	seed(`[{"id": "a", "key": "`+ka+`"}, {"id": "b"}, {"id": "c"}]`, false, one, two)
	if b, _, _ := h.State().Pump("b"); !b.Draining || strings.Contains(ids(h.State().Roster), "c") {
		t.Errorf("the same files again undo what was done by hand: %s", ids(h.State().Roster))
	}
	if ok, _ := h.CheckKey(ctx, "a", "by hand"); !ok {
		t.Error("the same files again undo a key")
	}
	seed(`[{"id": "a", "title": "A", "key": "`+cheap(t, "kb")+`"}, {"id": "d"}]`, true, two)
	want := func(s *State) bool {
		a, _, _ := s.Pump("a")
		_, one := s.Stream("one")
		return a.Title == "A" && !one && fmt.Sprint(sorted(ids(s.Roster))) == "[a api d]"
	}
	if err := h.until(ctx, want); err != nil {
		t.Errorf("what was changed in the files: %s, %v", ids(h.State().Roster), err)
	}
	if ok, _ := h.CheckKey(ctx, "a", "kb"); !ok {
		t.Error("the new key is not in force")
	}
	if _, ok := h.State().Stream("two"); !ok {
		t.Error("a stream that is in both is gone")
	}
}

func sorted(list string) []string {
	words := strings.Fields(list)
	for i := range words {
		for j := range i {
			if words[i] < words[j] {
				words[i], words[j] = words[j], words[i]
			}
		}
	}
	return words
}

// What cannot be read is told and let be: it may be a newer house's.
func TestEntriesOfAnotherKindAreLetBe(t *testing.T) {
	s := store.NewMemory(nil)
	ctx := within(t)
	for _, key := range []string{"pump.a", "stream.b", "invite.c", "token.d", "certificate.e", "future.f", "future"} {
		if _, err := s.Put(ctx, key, []byte("{nonsense"), store.Any); err != nil {
			t.Fatal(err)
		}
	}
	h := newHouse(t, s)
	h.put(t, roster.Pump{ID: "x"})
	if ids(h.State().Roster) != "x" {
		t.Error(ids(h.State().Roster))
	}
}

func TestAStoreThatDoesNotAnswer(t *testing.T) {
	s := store.NewMemory(nil)
	s.Fail(store.ErrUnavailable)
	_, err := Open(within(t), Options{Store: s, Hasher: access.NewHasher(access.HasherOptions{})})
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}
