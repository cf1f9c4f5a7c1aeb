package runas

import (
	"errors"
	"fmt"
	"os/user"
	"slices"
	"strconv"
)

// Want is whom to become, as an operator writes it: names, or numbers.
type Want struct {
	User   string   // empty: nobody in particular, and everything here does nothing
	Group  string   // empty: the user's own
	Groups []string // beside those that the user database gives the user
}

// Account is whom to become, in the kernel's terms.
type Account struct {
	Name   string // of the user, for people
	Home   string // empty: unknown
	UID    int
	GID    int
	Groups []int // supplementary, in ascending order, without GID
}

// ErrRoot says that root was asked for.
var ErrRoot = errors.New("run_as names root (name an ordinary user)")

// Lookup finds the account in the user database. A user or group given as a number need not be
// there; a user who is not has no group of his own, so that one must be given.
func Lookup(w Want) (Account, error) {
	a, err := lookupUser(w.User)
	if err != nil {
		return Account{}, err
	}
	if w.Group != "" {
		if a.GID, err = lookupGroup("run_as.group", w.Group); err != nil {
			return Account{}, err
		}
	}
	for _, name := range w.Groups {
		id, err := lookupGroup("run_as.groups", name)
		if err != nil {
			return Account{}, err
		}
		a.Groups = append(a.Groups, id)
	}
	if a.GID < 0 {
		return Account{}, fmt.Errorf("run_as.user %s is not in the user database, so that its group is unknown (set run_as.group)", w.User)
	}
	slices.Sort(a.Groups)
	a.Groups = slices.DeleteFunc(slices.Compact(a.Groups), func(id int) bool { return id == a.GID })
	if a.UID == 0 || a.GID == 0 || slices.Contains(a.Groups, 0) {
		return Account{}, ErrRoot
	}
	return a, nil
}

// lookupUser finds a user by name, or else by number, with the groups the database gives it.
func lookupUser(name string) (Account, error) {
	u, err := user.Lookup(name)
	number, numberErr := parseID(name)
	if err != nil && numberErr == nil {
		if u, err = user.LookupId(name); err != nil {
			return Account{Name: name, UID: number, GID: -1}, nil
		}
	}
	if err != nil {
		return Account{}, fmt.Errorf("run_as.user: this machine has no user %q (create it: useradd --system --no-create-home --shell /usr/sbin/nologin %s)", name, name)
	}
	a := Account{Name: u.Username, Home: u.HomeDir}
	if a.UID, err = parseID(u.Uid); err != nil {
		return Account{}, err
	}
	if a.GID, err = parseID(u.Gid); err != nil {
		return Account{}, err
	}
	ids, err := u.GroupIds()
	if err != nil {
		return Account{}, fmt.Errorf("asking for the groups of %s: %w", name, err)
	}
	for _, s := range ids {
		id, err := parseID(s)
		if err != nil {
			return Account{}, err
		}
		if id != a.GID { // the user's own group, which run_as.group may replace
			a.Groups = append(a.Groups, id)
		}
	}
	return a, nil
}

func lookupGroup(key, name string) (int, error) {
	if g, err := user.LookupGroup(name); err == nil {
		return parseID(g.Gid)
	}
	if id, err := parseID(name); err == nil {
		return id, nil
	}
	return 0, fmt.Errorf("%s: this machine has no group %q (create it: groupadd --system %s)", key, name, name)
}

// parseID reads a user or group id. The largest 32-bit number means "leave as it is" to the
// kernel and is none.
func parseID(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 1<<32-1 {
		return 0, fmt.Errorf("%q is no user or group id", s)
	}
	return int(n), nil
}
