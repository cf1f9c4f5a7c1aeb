package runas

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// dropped is a thread that has given everything up, as Linux writes it.
const dropped = `Name:	stream-pump
Umask:	0022
State:	S (sleeping)
Pid:	42
Uid:	998	998	998	998
Gid:	997	997	997	997
FDSize:	64
Groups:	44 997 
CapInh:	0000000000000000
CapPrm:	0000000000000000
CapEff:	0000000000000000
CapBnd:	000001ffffffffff
CapAmb:	0000000000000000
NoNewPrivs:	1
Seccomp:	0
`

var account = Account{Name: "pump", UID: 998, GID: 997, Groups: []int{44}}

func TestWhatAThreadMayNotKeep(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"nothing":                    {"", "", ""},
		"the group among the others": {"44 997", "44", ""},
		"the bounding set is none":   {"000001ffffffffff", "0000000000000000", ""},
		"root as the saved user":     {"998	998	998	998", "998	998	0	998", "user ids [998 998 0 998] instead of 998"},
		"root as the file user":      {"998	998	998	998", "998	998	998	0", "user ids"},
		"root's group":               {"997	997	997	997", "997	0	997	997", "group ids [997 0 997 997] instead of 997"},
		"a group of root's":          {"44 997", "0 44 997", "supplementary groups [0 44 997] instead of [44]"},
		"a group too few":            {"44 997", "997", "supplementary groups"},
		"an effective capability":    {"CapEff:	0000000000000000", "CapEff:	0000000000000400", "capabilities CapEff=0000000000000400"},
		"a permitted capability":     {"CapPrm:	0000000000000000", "CapPrm:	0000000000000001", "capabilities CapPrm"},
		"an inheritable capability":  {"CapInh:	0000000000000000", "CapInh:	8000000000000000", "capabilities CapInh"},
		"an ambient capability":      {"CapAmb:	0000000000000000", "CapAmb:	0000000000000400", "capabilities CapAmb"},
		"the way to new ones":        {"NoNewPrivs:	1", "NoNewPrivs:	0", "no no_new_privs"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(dropped, c.old) {
				t.Fatal("the case does not apply")
			}
			s, err := parseStatus(strings.Replace(dropped, c.old, c.new, 1))
			if err != nil {
				t.Fatal(err)
			}
			got := s.excess(account, ourselves)
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// systemd starts the program as the account, in a user namespace that hides groups, perhaps
// with the right to ports below 1024; more is not for it to keep either.
func TestWhatAStarterMayLeave(t *testing.T) {
	for name, c := range map[string]struct {
		old, new string
		fine     bool
	}{
		"the way to new ones":               {"NoNewPrivs:	1", "NoNewPrivs:	0", true},
		"ports below 1024, permitted":       {"CapPrm:	0000000000000000", "CapPrm:	0000000000000400", true},
		"ports below 1024, ambient":         {"CapAmb:	0000000000000000", "CapAmb:	0000000000000400", true},
		"another capability":                {"CapEff:	0000000000000000", "CapEff:	0000000000000001", false},
		"another capability besides":        {"CapEff:	0000000000000000", "CapEff:	0000000000000401", false},
		"a set that cannot be read":         {"CapEff:	0000000000000000", "CapEff:	all", false},
		"groups that are hidden":            {"44 997", "997 65534", true},
		"groups that are hidden, and known": {"44 997", "44 997 65534", true},
		"a group of others beside hidden":   {"44 997", "45 997 65534", false},
		"a group too few, and none hidden":  {"44 997", "997", false},
		"a group too many":                  {"44 997", "44 45 997", false},
		"root":                              {"998	998	998	998", "0	0	0	0", false},
		"root's group":                      {"997	997	997	997", "0	0	0	0", false},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := parseStatus(strings.Replace(dropped, c.old, c.new, 1))
			if err != nil {
				t.Fatal(err)
			}
			if got := s.excess(account, somebody); (got == "") != c.fine {
				t.Errorf("got %q", got)
			}
			if s.excess(account, ourselves) == "" {
				t.Error("a program that has changed its user itself may keep it too")
			}
		})
	}
}

func TestNothingIsTakenForGranted(t *testing.T) {
	for name, text := range map[string]string{
		"an empty file":           "",
		"no capabilities":         strings.Replace(dropped, "CapAmb", "CapXyz", 1),
		"no groups":               strings.Replace(dropped, "Groups", "Grps", 1),
		"no word on new ones":     strings.Replace(dropped, "NoNewPrivs", "Nnp", 1),
		"three user ids":          strings.Replace(dropped, "998	998	998	998", "998	998	998", 1),
		"an id that is no number": strings.Replace(dropped, "997	997	997	997", "997	997	997	x", 1),
	} {
		if s, err := parseStatus(text); err == nil {
			t.Errorf("%s: taken as %+v", name, s)
		}
	}
}

// One thread that has kept something is enough, however many have not.
func TestEveryThreadIsLookedAt(t *testing.T) {
	write := func(dir, id, text string) {
		t.Helper()
		task := filepath.Join(dir, "self", "task", id)
		if err := os.MkdirAll(task, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(task, "status"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if err := verify(dir, account, ourselves); err == nil || !strings.Contains(err.Error(), "no thread can be looked at") {
		t.Errorf("without /proc: %v", err)
	}
	for _, id := range []string{"42", "43", "44"} {
		write(dir, id, dropped)
	}
	if err := verify(dir, account, ourselves); err != nil {
		t.Error(err)
	}
	write(dir, "43", strings.Replace(dropped, "998	998	998	998", "0	0	0	0", 1))
	if err := verify(dir, account, ourselves); err == nil || !strings.Contains(err.Error(), "user ids [0 0 0 0]") {
		t.Errorf("one thread is root: %v", err)
	}
	write(dir, "43", "")
	if err := verify(dir, account, ourselves); err == nil {
		t.Error("a thread that nothing is said of passes")
	}
}

// The thread that runs this test is told as the kernel tells it.
func TestThisProcess(t *testing.T) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	s, err := parseStatus(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if s.uids[0] != os.Getuid() || s.uids[1] != os.Geteuid() || s.gids[0] != os.Getgid() {
		t.Errorf("%+v, want user %d and group %d", s, os.Getuid(), os.Getgid())
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add(dropped)
	if text, err := os.ReadFile("/proc/self/status"); err == nil {
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseStatus(text)
		if err == nil && (len(s.uids) != 4 || len(s.gids) != 4 || len(s.capabilities) != len(capabilitySets)) {
			t.Errorf("%q is taken as %+v", text, s)
		}
	})
}
