package access

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/passhash"
)

// Cheap hashes of "open sesame".
const (
	cheapBcrypt = "$2a$04$hRbKIZyNo.boIpw2fy4TSukLaHE8aXoLb7W9Xw/zMLPoA43KCv9HW"
	cheapArgon  = "$argon2id$v=19$m=64,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$zl7V9C596JtSXWShZ2Tfc7QVGFpgGIXeJjaZ2scNEC0"
)

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// fourUsers have a user of every kind, all with one password.
func fourUsers(t *testing.T, h *Hasher) *Credentials {
	t.Helper()
	c, err := NewUsers([]User{
		{Name: "plain", Password: "open sesame"},
		{Name: "bcrypt", PasswordHash: cheapBcrypt},
		{Name: "argon", PasswordHash: cheapArgon},
		{Name: "digest", HA1: strings.ToUpper(passhash.HA1("digest", Realm, "open sesame"))},
	}, CredentialsOptions{AllowBasic: true, Hasher: h})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestUsersByScheme(t *testing.T) {
	c := fourUsers(t, nil)
	for _, x := range []struct {
		user              string
		byBasic, byDigest bool
	}{
		{user: "plain", byBasic: true, byDigest: true},
		{user: "bcrypt", byBasic: true},
		{user: "argon", byBasic: true},
		{user: "digest", byDigest: true},
		{user: "nobody"},
		{user: ""},
	} {
		for scheme, right := range map[string]bool{"basic": x.byBasic, "digest": x.byDigest} {
			for _, password := range []string{"open sesame", "open", ""} {
				a := basic(x.user, password)
				if scheme == "digest" {
					a = answer(t, c, x.user, password)
				}
				who, err := c.Identify(request("POST", target, a))
				switch {
				case right && password == "open sesame":
					if err != nil || who != x.user {
						t.Errorf("%s by %s: %q, %v", x.user, scheme, who, err)
					}
				case !errors.Is(err, ErrCredentialsBad) || who != "":
					t.Errorf("%s by %s with %q: %q, %v", x.user, scheme, password, who, err)
				}
			}
		}
	}
}

func TestUsersChallenges(t *testing.T) {
	plain, hashed, ha1 := User{Name: "a", Password: "x"}, User{Name: "b", PasswordHash: cheapBcrypt}, User{Name: "c", HA1: strings.Repeat("0", 32)}
	overTLS := request("POST", target)
	overTLS.TLS = &tls.ConnectionState{}
	for _, x := range []struct {
		name       string
		users      []User
		allowBasic bool
		tls        bool
		want       string
	}{
		{"plain", []User{plain}, false, false, "Digest"},
		{"plain, Basic allowed", []User{plain}, true, false, "Digest Basic"},
		{"plain over TLS", []User{plain}, false, true, "Digest Basic"},
		{"hashed, Basic allowed", []User{hashed}, true, false, "Basic"},
		{"hashed over TLS", []User{hashed}, false, true, "Basic"},
		{"hashed, in the open", []User{hashed}, false, false, ""},
		{"HA1", []User{ha1}, true, true, "Digest"},
		{"hashed and HA1", []User{hashed, ha1}, true, false, "Digest Basic"},
	} {
		c, err := NewUsers(x.users, CredentialsOptions{AllowBasic: x.allowBasic})
		if err != nil {
			t.Fatal(err)
		}
		r := request("POST", target)
		if x.tls {
			r = overTLS
		}
		var got []string
		for _, s := range c.ChallengeFor(r, nil) {
			scheme, _, _ := strings.Cut(s, " ")
			got = append(got, scheme)
		}
		if strings.Join(got, " ") != x.want {
			t.Errorf("%s: %v, want %s", x.name, got, x.want)
		}
	}
}

func TestUsersRefused(t *testing.T) {
	for name, list := range map[string][]User{
		"nameless":       {{Password: "x"}},
		"a colon":        {{Name: "a:b", Password: "x"}},
		"nothing":        {{Name: "a"}},
		"two of them":    {{Name: "a", Password: "x", HA1: strings.Repeat("0", 32)}},
		"twice":          {{Name: "a", Password: "x"}, {Name: "a", Password: "y"}},
		"no hash":        {{Name: "a", PasswordHash: "sesame"}},
		"a costly hash":  {{Name: "a", PasswordHash: strings.Replace(cheapBcrypt, "$04$", "$20$", 1)}},
		"no HA1":         {{Name: "a", HA1: "sesame"}},
		"a greedy argon": {{Name: "a", PasswordHash: strings.Replace(cheapArgon, "m=64", "m=999999", 1)}},
	} {
		c, err := NewUsers(list, CredentialsOptions{})
		if err == nil || c != nil || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if c, err := NewUsers(nil, CredentialsOptions{}); c != nil || err != nil {
		t.Error("no users ask for something")
	}
}

// knows tells whether a password would be checked without computing its hash.
func (c *Credentials) knows(user, password string) bool {
	u, known := c.users.find(user)
	h := c.opts.Hasher
	key := h.mac(u, password)
	h.mu.Lock()
	defer h.mu.Unlock()
	return known && h.knows(key)
}

// A password that was right is known for a while, for the hash it was right for.
func TestHasherRemembers(t *testing.T) {
	clock := &clock{at: time.Unix(1_700_000_000, 0)}
	h := NewHasher(HasherOptions{Now: clock.now})
	c := fourUsers(t, h)
	for _, user := range []string{"bcrypt", "argon"} {
		if c.knows(user, "open sesame") {
			t.Errorf("%s is known before it came", user)
		}
		for _, password := range []string{"open", "open sesame"} {
			_ = c.Check(request("POST", target, basic(user, password)))
		}
		if !c.knows(user, "open sesame") || c.knows(user, "open") {
			t.Errorf("%s: right known %v, wrong known %v", user, c.knows(user, "open sesame"), c.knows(user, "open"))
		}
	}
	changed, err := NewUsers([]User{{Name: "bcrypt", PasswordHash: cheapArgon}}, CredentialsOptions{AllowBasic: true, Hasher: h})
	if err != nil {
		t.Fatal(err)
	}
	if changed.knows("bcrypt", "open sesame") {
		t.Error("a changed password is known by the former hash")
	}
	clock.at = clock.at.Add(6 * time.Minute)
	if c.knows("bcrypt", "open sesame") {
		t.Error("known for too long")
	}
}

// A herd with one password costs one hash: whoever comes while it is computed waits for
// it, and is not sent away though there is no place to wait for a hash of his own.
func TestHasherChecksAHerdOnce(t *testing.T) {
	h := NewHasher(HasherOptions{Concurrent: 1, Waiting: 1, Patience: time.Minute})
	c := fourUsers(t, h)
	h.slots <- struct{}{} // nothing is computed for now
	const herd = 100
	results := make(chan error, herd)
	for range herd {
		go func() { results <- c.Check(request("POST", target, basic("bcrypt", "open sesame"))) }()
	}
	for len(h.queue) == 0 {
		time.Sleep(time.Millisecond)
	}
	if n := len(h.queue); n != 1 {
		t.Errorf("%d hashes are to be computed", n)
	}
	<-h.slots
	for range herd {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if !c.knows("bcrypt", "open sesame") || len(h.flights) != 0 {
		t.Errorf("known %v, flights %d", c.knows("bcrypt", "open sesame"), len(h.flights))
	}
}

// Names that are not known cost as much as known ones, even with a password that is
// somebody else's and remembered.
func TestStrangersCostAHash(t *testing.T) {
	h := NewHasher(HasherOptions{Concurrent: 1, Waiting: 1})
	c := fourUsers(t, h)
	for _, user := range []string{"bcrypt", "argon"} {
		if err := c.Check(request("POST", target, basic(user, "open sesame"))); err != nil {
			t.Fatal(err)
		}
	}
	h.opts.Patience = time.Nanosecond
	h.slots <- struct{}{} // a hash cannot be computed: who needs one is told so
	for _, x := range []struct {
		user, password string
		want           error
	}{
		{"plain", "open sesame", nil},
		{"bcrypt", "open sesame", nil},
		{"plain", "wrong", ErrCredentialsBusy},
		{"bcrypt", "wrong", ErrCredentialsBusy},
		{"digest", "open sesame", ErrCredentialsBusy},
		{"nobody", "open sesame", ErrCredentialsBusy},
	} {
		if err := c.Check(request("POST", target, basic(x.user, x.password))); !errors.Is(err, x.want) {
			t.Errorf("%s with %q: %v, want %v", x.user, x.password, err, x.want)
		}
	}
}

func TestHasherIsBounded(t *testing.T) {
	h := NewHasher(HasherOptions{MaxKnown: 8})
	var list []User
	for i := range 50 {
		list = append(list, User{Name: fmt.Sprint("user", i), PasswordHash: cheapArgon})
	}
	c, err := NewUsers(list, CredentialsOptions{AllowBasic: true, Hasher: h})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range list {
		if err := c.Check(request("POST", target, basic(u.Name, "open sesame"))); err != nil {
			t.Fatal(err)
		}
		if n := len(h.known); n > 8 {
			t.Fatalf("%d passwords are remembered", n)
		}
	}
}

// With every place taken, and every place to wait, the next one is sent away at once;
// who waits is sent away when its time, or its request, is over.
func TestHasherQueue(t *testing.T) {
	h := NewHasher(HasherOptions{Concurrent: 1, Waiting: 1, Patience: time.Hour})
	c := fourUsers(t, h)
	ask := func(ctx context.Context) error {
		err := c.Check(request("POST", target, basic("nobody", "open sesame")).WithContext(ctx))
		if errors.Is(err, ErrCredentialsBad) {
			err = nil // it was looked at
		}
		return err
	}
	h.slots <- struct{}{} // somebody computes
	h.queue <- struct{}{}
	ctx, leave := context.WithCancel(context.Background())
	waiting := make(chan error)
	go func() { waiting <- ask(ctx) }()
	for len(h.queue) < 2 {
		time.Sleep(time.Millisecond)
	}
	if err := ask(context.Background()); !errors.Is(err, ErrCredentialsBusy) {
		t.Errorf("with a full queue: %v", err)
	}
	leave()
	if err := <-waiting; !errors.Is(err, ErrCredentialsBusy) {
		t.Errorf("who left: %v", err)
	}
	h.opts.Patience = time.Nanosecond
	if err := ask(context.Background()); !errors.Is(err, ErrCredentialsBusy) {
		t.Errorf("who waited long enough: %v", err)
	}
	<-h.slots
	<-h.queue
	h.opts.Patience = time.Hour
	if err := ask(context.Background()); err != nil {
		t.Errorf("when there is room again: %v", err)
	}
}

func TestUsersAtOnce(t *testing.T) {
	c := fourUsers(t, NewHasher(HasherOptions{Concurrent: 2, Waiting: 1000, MaxKnown: 2, Patience: time.Minute}))
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for j := range 10 {
				user := []string{"plain", "bcrypt", "argon", "nobody"}[(i+j)%4]
				err := c.Check(request("POST", target, basic(user, "open sesame")))
				if (err == nil) != (user != "nobody") {
					t.Errorf("%s: %v", user, err)
				}
				err = c.Check(request("POST", target, answer(t, c, "digest", "open sesame")))
				if err != nil {
					t.Errorf("digest: %v", err)
				}
			}
		})
	}
	all.Wait()
}
