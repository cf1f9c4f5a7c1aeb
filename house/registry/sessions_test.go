package registry

import (
	"fmt"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/house/store"
)

// comes waits until another house has heard.
func comes(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not come: %s", what)
		}
	}
}

func session(h *house, id, user string) Session {
	return Session{ID: id, User: user, Begun: h.clock(), Expires: h.clock().Add(12 * time.Hour)}
}

func TestALogOutHoldsAtEveryHouse(t *testing.T) {
	s := store.NewMemory(nil)
	a, b := newHouse(t, s), newHouse(t, s)
	one, two := session(a, "ONE", "anna"), session(a, "TWO", "anna")
	if err := a.EndSession(within(t), one); err != nil {
		t.Fatal(err)
	}
	if !a.State().Ended(one) {
		t.Error("not where it was done")
	}
	comes(t, "the log-out", func() bool { return b.State().Ended(one) })
	if a.State().Ended(two) || b.State().Ended(two) {
		t.Error("another session of hers has ended too")
	}
	later := newHouse(t, s)
	if !later.State().Ended(one) {
		t.Error("a house that comes later does not know")
	}
}

// Who logs out of very many loses all sessions that he has, and keeps few entries; a session
// that begins afterwards is good.
func TestLogOutsAreBounded(t *testing.T) {
	a := newHouse(t, store.NewMemory(nil))
	var all []Session
	for i := range 3 * maxEnded {
		x := session(a, fmt.Sprintf("S%d", i), "anna")
		all = append(all, x)
		if err := a.EndSession(within(t), x); err != nil {
			t.Fatal(err)
		}
	}
	other := session(a, "OPEN", "anna")
	for _, x := range append(all, other) {
		if !a.State().Ended(x) {
			t.Fatalf("%s is still good", x.ID)
		}
	}
	if n := len(a.State().ended); n > maxEnded || len(a.State().logouts) != 1 {
		t.Errorf("%d entries, %d", n, len(a.State().logouts))
	}
	if a.State().Ended(session(a, "BENS", "ben")) {
		t.Error("somebody else's session has ended")
	}
	a.later(time.Second)
	if a.State().Ended(session(a, "NEW", "anna")) {
		t.Error("she cannot log in any more")
	}
	a.later(25 * time.Hour)
	if err := a.Expire(within(t)); err != nil {
		t.Fatal(err)
	}
	comes(t, "nothing of it is kept", func() bool { return len(a.State().ended)+len(a.State().logouts) == 0 })
}

// A user that one house has lost is let in by none, though another's configuration still has
// him, until the house that took him off has him again.
func TestAUserThatIsTakenOffIsGoneEverywhere(t *testing.T) {
	s := store.NewMemory(nil)
	a, b := newHouse(t, s), newHouse(t, s)
	both, ben := map[string]string{"m1": "anna", "m2": "ben"}, map[string]string{"m2": "ben"}
	keep := func(h *house, name string, users map[string]string) {
		t.Helper()
		if err := h.KeepUsers(within(t), name, users); err != nil {
			t.Fatal(err)
		}
	}
	keep(a, "a", both)
	keep(b, "b", both)
	if a.State().AnyGone() {
		t.Error("somebody is gone")
	}
	keep(a, "a", ben)
	comes(t, "anna is gone at b", func() bool { return b.State().Gone("m1") == "a" && b.State().Gone("m2") == "" })
	keep(b, "b", both) // it has read its old file again
	if b.State().Gone("m1") != "a" {
		t.Error("a house with an old file has let her in again")
	}
	keep(b, "b", ben)
	keep(b, "b", both)
	if b.State().Gone("m1") == "" {
		t.Error("a house that did not take her off first has let her in again")
	}
	keep(a, "a", both)
	comes(t, "anna is back", func() bool { return !b.State().AnyGone() })
}

func TestUsersThatAreGoneAreBounded(t *testing.T) {
	a := newHouse(t, store.NewMemory(nil))
	users := map[string]string{}
	for i := range maxGone + 50 {
		users[fmt.Sprintf("m%d", i)] = "x"
	}
	if err := a.KeepUsers(within(t), "a", users); err != nil {
		t.Fatal(err)
	}
	if err := a.KeepUsers(within(t), "a", map[string]string{}); err != nil {
		t.Fatal(err)
	}
	if err := a.Expire(within(t)); err != nil {
		t.Fatal(err)
	}
	comes(t, "the oldest are forgotten", func() bool { return len(a.State().gone) == maxGone })
}

// A token that was taken back is taken back at every house.
func TestATokenThatIsTakenBackIsGoneEverywhere(t *testing.T) {
	s := store.NewMemory(nil)
	a, b := newHouse(t, s), newHouse(t, s)
	token, text, err := a.CreateToken(within(t), "script", "look", 0)
	if err != nil {
		t.Fatal(err)
	}
	good := func() bool { _, ok := b.CheckToken(text); return ok }
	comes(t, "the token", good)
	if err := a.DeleteToken(within(t), token.ID); err != nil {
		t.Fatal(err)
	}
	comes(t, "its end", func() bool { return !good() })
}
