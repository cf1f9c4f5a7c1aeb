package registry

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/stream-pump/stream-pump/house/store"
)

// What the houses of a fleet tell each other of who may not come in any more. All of it is
// bounded: by the users, by sessions' ends, by numbers.

// Session is one log-in at the page.
type Session struct {
	ID             string // random: letters and digits
	User           string
	Begun, Expires time.Time
}

// endedEntry is a session that was logged out of.
type endedEntry struct {
	User    string    `json:"user"`
	Expires time.Time `json:"expires"`
}

// logoutEntry ends all sessions of a user that began before.
type logoutEntry struct {
	Before time.Time `json:"before"`
}

// goneEntry is a user, with his password and role of then, whom a house has lost from its
// configuration.
type goneEntry struct {
	User  string    `json:"user"`
	House string    `json:"house"`
	At    time.Time `json:"at"`
}

// Bounds of what is kept.
const (
	maxEnded  = 64   // sessions of one user that were logged out of; beyond that all of his end
	maxGone   = 1000 // users
	sessionOf = 24 * time.Hour
)

func userKey(name string) string {
	h := sha256.Sum256([]byte(name))
	return hex.EncodeToString(h[:12])
}

// EndSession makes a session void at every house. A user who logs out of very many loses all
// that he has, so that what is kept does not grow.
func (r *Registry) EndSession(ctx context.Context, s Session) error {
	now, st := r.opts.Now(), r.State()
	if st.Ended(s) {
		return nil
	}
	var his []string
	for id, e := range st.ended {
		if e.User == s.User && now.Before(e.Expires) {
			his = append(his, id)
		}
	}
	if len(his) < maxEnded {
		if _, err := r.store.Put(ctx, kindEnded+s.ID, mustJSON(endedEntry{s.User, s.Expires.UTC()}), store.Any); err != nil {
			return err
		}
		return r.until(ctx, func(st *State) bool { return st.Ended(s) })
	}
	if _, err := r.store.Put(ctx, kindLogout+userKey(s.User), mustJSON(logoutEntry{now.UTC()}), store.Any); err != nil {
		return err
	}
	for _, id := range his {
		if err := r.store.Delete(ctx, kindEnded+id, store.Any); err != nil {
			return err
		}
	}
	return r.until(ctx, func(st *State) bool { return st.Ended(s) })
}

// Ended tells whether a session was logged out of, at any house.
func (s *State) Ended(x Session) bool {
	if _, ended := s.ended[x.ID]; ended {
		return true
	}
	all, ok := s.logouts[userKey(x.User)]
	return ok && !x.Begun.After(all.Before)
}

// KeepUsers notes the users of a house's configuration, by marks that stand for name,
// password and role of each. Who was among them and is not any more is let in by no house of
// the fleet, though its own configuration may still have him; until this house has him again.
func (r *Registry) KeepUsers(ctx context.Context, house string, users map[string]string) error {
	s := r.State()
	if before, known := s.users[house]; known && maps.Equal(before, users) {
		return nil
	}
	var errs []error
	for mark, name := range s.users[house] {
		_, stays := users[mark]
		_, known := s.gone[mark] // the house that was first has to have him again
		if !stays && !known {
			_, err := r.store.Put(ctx, kindGone+mark, mustJSON(goneEntry{name, house, r.opts.Now().UTC()}), store.Any)
			errs = append(errs, err)
		}
	}
	for mark := range users {
		if _, was := s.users[house][mark]; !was && s.gone[mark].House == house {
			errs = append(errs, r.store.Delete(ctx, kindGone+mark, store.Any))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err // the list stays as it was, so that it is tried again
	}
	_, err := r.store.Put(ctx, kindUsers+house, mustJSON(users), store.Any)
	if err != nil {
		return err
	}
	return r.until(ctx, func(s *State) bool { return maps.Equal(s.users[house], users) })
}

// Gone tells at which house a user was taken off; empty: at none.
func (s *State) Gone(mark string) (house string) { return s.gone[mark].House }

// AnyGone tells whether any user was taken off.
func (s *State) AnyGone() bool { return len(s.gone) > 0 }

// expireSessions forgets what cannot matter any more.
func (r *Registry) expireSessions(ctx context.Context) error {
	s, now := r.State(), r.opts.Now()
	var errs []error
	for id, e := range s.ended {
		if now.After(e.Expires) {
			errs = append(errs, r.store.Delete(ctx, kindEnded+id, store.Any))
		}
	}
	for user, e := range s.logouts {
		if now.Sub(e.Before) > sessionOf { // no session is that old
			errs = append(errs, r.store.Delete(ctx, kindLogout+user, store.Any))
		}
	}
	oldest := slices.SortedFunc(maps.Keys(s.gone), func(a, b string) int {
		return cmp.Or(s.gone[a].At.Compare(s.gone[b].At), cmp.Compare(a, b))
	})
	for _, mark := range oldest[:max(0, len(oldest)-maxGone)] {
		errs = append(errs, r.store.Delete(ctx, kindGone+mark, store.Any))
	}
	return errors.Join(errs...)
}

// takeSession puts one entry of these kinds into s.
func (s *State) takeSession(kind, name string, data []byte) error {
	switch kind {
	case kindEnded:
		return intoJSON(s.ended, name, data)
	case kindLogout:
		return intoJSON(s.logouts, name, data)
	case kindUsers:
		return intoJSON(s.users, name, data)
	}
	return intoJSON(s.gone, name, data)
}

func intoJSON[T any](m map[string]T, name string, data []byte) error {
	return into(m, name, data, func() (v T, err error) { return v, json.Unmarshal(data, &v) })
}

// HasUsers tells whether it is known who may log in at a house.
func (s *State) HasUsers(house string) bool { return s.users[house] != nil }
