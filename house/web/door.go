package web

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/telemetry"
)

// Who is somebody that was let in.
type Who struct {
	Name    string    // of the user or the token
	Kind    string    // kindUser or kindToken
	Role    string    // RoleLook or RoleSteer
	Expires time.Time // of the session or the token; zero: never

	session Session // without an id: none
}

const (
	kindUser  = "user"
	kindToken = "token"
)

// refusal says why somebody is not let in.
type refusal struct {
	status int
	text   string
	wait   time.Duration // before the next attempt
}

func (r *refusal) Error() string { return r.text }

var (
	errNobody = &refusal{status: http.StatusUnauthorized, text: "log in first: a session, a token (Bearer) or a user (Basic) is wanted"}
	errWrong  = &refusal{status: http.StatusUnauthorized, text: "name or password is wrong"}
	errToken  = &refusal{status: http.StatusUnauthorized, text: "this token is not known, or it has ended"}
	errEnded  = &refusal{status: http.StatusUnauthorized, text: "the session has ended; log in again"}
	errBusy   = &refusal{status: http.StatusServiceUnavailable, text: "too many are logging in, try again", wait: time.Second}
	errPlain  = &refusal{status: http.StatusForbidden, text: "only over TLS, or from this very machine: names and passwords would be readable on their way"}
)

// door finds out who sends a request.
//
// Who guesses is slowed down by address, and by address and name: whoever knows one password
// must not be forgiven what he guesses of another one.
type door struct {
	opts      *Options
	addresses *access.Guard // wrong passwords
	names     *access.Guard // the same, for each name
	tokens    *access.Guard
	repeats   *telemetry.Repeats

	known atomic.Pointer[users]
	mu    sync.Mutex
	ended map[string]time.Time // sessions that were logged out of here → when they would have ended

	right, wrong, slowed atomic.Uint64
}

// users are those of the configuration, ready to be checked.
type users struct {
	list  []User
	creds *access.Credentials // nil: there are none
}

func newDoor(o *Options) *door {
	g := o.Guard
	if g.Now == nil {
		g.Now = o.Now
	}
	return &door{
		opts: o, addresses: access.NewGuard(g), names: access.NewGuard(g), tokens: access.NewGuard(g),
		repeats: telemetry.NewRepeats(o.Log, telemetry.RepeatsOptions{}), ended: map[string]time.Time{},
	}
}

// users returns those of now.
func (d *door) users() *users {
	list := d.opts.Users()
	if u := d.known.Load(); u != nil && slices.Equal(u.list, list) {
		return u
	}
	u := &users{list: slices.Clone(list)}
	var logins []access.User
	for _, x := range list {
		logins = append(logins, access.User{Name: x.Name, PasswordHash: x.PasswordHash})
	}
	creds, err := access.NewUsers(logins, access.CredentialsOptions{Realm: "pump-house", AllowBasic: true, Hasher: d.opts.Hasher, Now: d.opts.Now})
	if err != nil { // the configuration was checked; nobody gets in by password
		d.opts.Log.Error("the users of page and API cannot be used", slog.Any("error", err))
		u.list = nil
	}
	u.creds = creds
	d.known.Store(u)
	return u
}

func (u *users) find(name string) (User, bool) {
	i := slices.IndexFunc(u.list, func(x User) bool { return x.Name == name })
	if i < 0 {
		return User{}, false
	}
	return u.list[i], true
}

// identify finds out who sends r, by token, by name and password, or by session.
func (d *door) identify(r *http.Request) (Who, *refusal) {
	if !d.opts.Secure(r) {
		return Who{}, errPlain
	}
	scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch strings.ToLower(scheme) {
	case "bearer":
		return d.byToken(r, strings.TrimSpace(rest))
	case "basic":
		name, password, ok := r.BasicAuth()
		if !ok {
			return Who{}, errWrong
		}
		return d.byPassword(r, name, password)
	case "":
		return d.bySession(r)
	}
	return Who{}, errNobody
}

func (d *door) byToken(r *http.Request, text string) (Who, *refusal) {
	remote := d.opts.Remote(r)
	if wait := d.tokens.Begin(r.Context(), remote); wait > 0 {
		return Who{}, d.slow(r, wait)
	}
	t, ok := d.opts.Steering.CheckToken(text)
	if !ok {
		d.tokens.Wrong(remote)
		return Who{}, d.refused(r, "token", errToken)
	}
	d.tokens.Right(remote)
	return Who{Name: t.Name, Kind: kindToken, Role: t.Role, Expires: t.Expires}, nil
}

// maxPassword bounds what is hashed.
const maxPassword = 1024

func (d *door) byPassword(r *http.Request, name, password string) (Who, *refusal) {
	remote := d.opts.Remote(r)
	of := suspect(remote, name)
	if wait := d.addresses.Begin(r.Context(), remote); wait > 0 {
		return Who{}, d.slow(r, wait)
	}
	if wait := d.names.Begin(r.Context(), of); wait > 0 {
		d.addresses.Withdraw(remote)
		return Who{}, d.slow(r, wait)
	}
	u := d.users()
	user, err := u.check(r.Context(), name, password)
	switch {
	case errors.Is(err, access.ErrCredentialsBusy):
		d.addresses.Withdraw(remote)
		d.names.Withdraw(of)
		return Who{}, errBusy
	case err != nil:
		d.addresses.Wrong(remote)
		d.names.Wrong(of)
		return Who{}, d.refused(r, fleet.Shorten(name), errWrong)
	}
	d.addresses.Right(remote)
	d.names.Right(of)
	d.right.Add(1)
	return Who{Name: user.Name, Kind: kindUser, Role: user.Role}, nil
}

// check takes as long for names that are not known as for those that are.
func (u *users) check(ctx context.Context, name, password string) (User, error) {
	if u.creds == nil || len(password) > maxPassword || len(name) > maxPassword {
		return User{}, access.ErrCredentialsBad
	}
	r := (&http.Request{Header: http.Header{}}).WithContext(ctx)
	r.SetBasicAuth(strings.ReplaceAll(name, ":", "\x00"), password) // no name has a colon
	found, err := u.creds.Identify(r)
	if err != nil {
		return User{}, err
	}
	user, ok := u.find(found)
	if !ok {
		return User{}, access.ErrCredentialsBad
	}
	return user, nil
}

// suspect stands for an address together with a name, in the form that a guard counts by.
func suspect(remote netip.Addr, name string) netip.Addr {
	if !remote.IsValid() {
		return netip.Addr{}
	}
	if remote.Is6() {
		p, _ := remote.WithZone("").Prefix(64)
		remote = p.Addr()
	}
	sum := sha256.Sum256([]byte(remote.String() + "\x00" + name))
	return netip.AddrFrom16([16]byte(sum[:16]))
}

func (d *door) slow(r *http.Request, wait time.Duration) *refusal {
	d.slowed.Add(1)
	remote := d.opts.Remote(r).String()
	d.repeats.Log(slog.LevelWarn, "slowed "+remote, "an address that guesses has to wait", slog.String("address", remote))
	return &refusal{status: http.StatusTooManyRequests, text: "too many wrong attempts from this address", wait: wait}
}

// refused logs who was refused, without what he said.
func (d *door) refused(r *http.Request, who string, e *refusal) *refusal {
	d.wrong.Add(1)
	remote := d.opts.Remote(r).String()
	d.repeats.Log(slog.LevelWarn, "refused "+remote, "a log-in was refused", slog.String("name", who), slog.String("address", remote), slog.String("reason", e.text))
	return e
}

// retryAfter is the value of the header of that name.
func (r *refusal) retryAfter() string {
	return fmt.Sprint(int(math.Max(1, math.Ceil(r.wait.Seconds()))))
}
