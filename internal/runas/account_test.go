package runas

import (
	"errors"
	"os/user"
	"slices"
	"strings"
	"testing"
)

func TestLookup(t *testing.T) {
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Skip(err)
	}
	uid, _ := parseID(nobody.Uid)
	gid, _ := parseID(nobody.Gid)
	for name, c := range map[string]struct {
		want Want
		got  Account
		err  string
	}{
		"by name":                       {want: Want{User: "nobody"}, got: Account{Name: "nobody", UID: uid, GID: gid}},
		"by number":                     {want: Want{User: nobody.Uid}, got: Account{Name: "nobody", UID: uid, GID: gid}},
		"with another group":            {want: Want{User: "nobody", Group: "12345"}, got: Account{Name: "nobody", UID: uid, GID: 12345}},
		"with groups, each once":        {want: Want{User: "nobody", Groups: []string{"77", "33333", "77", nobody.Gid}}, got: Account{Name: "nobody", UID: uid, GID: gid, Groups: []int{77, 33333}}},
		"a number nobody has":           {want: Want{User: "54321", Group: "54322"}, got: Account{Name: "54321", UID: 54321, GID: 54322}},
		"that number needs a group":     {want: Want{User: "54321"}, err: "set run_as.group"},
		"no such user":                  {want: Want{User: "no-such-user"}, err: "useradd"},
		"no such group":                 {want: Want{User: "nobody", Group: "no-such-group"}, err: `run_as.group: this machine has no group "no-such-group"`},
		"no such group among others":    {want: Want{User: "nobody", Groups: []string{"no-such-group"}}, err: "run_as.groups"},
		"root":                          {want: Want{User: "root"}, err: "names root"},
		"root's group":                  {want: Want{User: "nobody", Group: "0"}, err: "names root"},
		"root's group among others":     {want: Want{User: "nobody", Groups: []string{"root"}}, err: "names root"},
		"the number that means 'as is'": {want: Want{User: "4294967295", Group: "1"}, err: "no user"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Lookup(c.want)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %+v and %v, want an error with %q", got, err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got.Home = ""
			if got.Name != c.got.Name || got.UID != c.got.UID || got.GID != c.got.GID || !slices.Equal(got.Groups, c.got.Groups) {
				t.Errorf("got %+v, want %+v", got, c.got)
			}
		})
	}
	if _, err := Lookup(Want{User: "root"}); !errors.Is(err, ErrRoot) {
		t.Errorf("root: %v", err)
	}
}

// Without a user there is nobody to become, root or not.
func TestNobodyInParticular(t *testing.T) {
	if err := Prepare(Want{}); err != nil {
		t.Error(err)
	}
	if a, err := Drop(Want{}); err != nil || a.Name != "" {
		t.Errorf("%+v, %v", a, err)
	}
}
