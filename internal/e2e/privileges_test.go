package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/porttest"
)

// The user and the group that scripts/install-test-deps makes.
const (
	testUser  = "streampump-test"
	testGroup = "streampump-keys"
)

// ids are the numbers of the test user, its group and the further group.
type ids struct{ uid, gid, extra int }

// needUser skips the test unless root runs it and the test user is there.
func needUser(t *testing.T) ids {
	t.Helper()
	need(t, "setpriv")
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	u, err := user.Lookup(testUser)
	g, groupErr := user.LookupGroup(testGroup)
	if err != nil || groupErr != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("no user %s or no group %s; run scripts/install-test-deps", testUser, testGroup)
		}
		t.Skipf("no user %s or no group %s; scripts/install-test-deps makes them", testUser, testGroup)
	}
	number := func(s string) int { n, _ := strconv.Atoi(s); return n }
	return ids{number(u.Uid), number(u.Gid), number(g.Gid)}
}

// buildRelease builds the program as it is released: without C libraries, where Go itself changes the user on every
// thread. buildPump's, which has the race detector, leaves that to the C library.
var buildRelease = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(scratch, "stream-pump-release")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "../../cmd/stream-pump")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building stream-pump: %w\n%s", err, out)
	}
	return binary, nil
})

// publicDir makes a folder that everybody can look into; those of the testing package are their owner's.
func publicDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(scratch, "public-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// rootsPump runs a binary as root at a port of root's.
func rootsPump(t *testing.T, binary, config string) *PumpProc {
	t.Helper()
	p := &PumpProc{Port: porttest.Roots(t), AdminPort: freePort(t), stopped: true}
	p.Config = filepath.Join(publicDir(t), "pump.yml")
	p.Rewrite(t, config)
	p.launch(t, binary)
	p.WaitState(t, "card", "live", 10*time.Second)
	return p
}

// publicCertificate is certificate with the certificate for everybody to read and the key for root alone.
func publicCertificate(t *testing.T) (cert, key string) {
	t.Helper()
	cert, key = certificate(t)
	dir := publicDir(t)
	move := func(from, name string, mode os.FileMode) string {
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, mode)
		}
		if err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, name)
	}
	return move(cert, "cert.pem", 0o644), move(key, "key.pem", 0o600)
}

// checkDropped holds every thread of a process against the user.
func checkDropped(t *testing.T, pid int, want ids) {
	t.Helper()
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	looked := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		looked++
		for key, value := range map[string]string{
			"Uid":        fmt.Sprint([4]int{want.uid, want.uid, want.uid, want.uid}),
			"Gid":        fmt.Sprint([4]int{want.gid, want.gid, want.gid, want.gid}),
			"Groups":     fmt.Sprint([]int{want.gid, want.extra}),
			"CapInh":     "[0000000000000000]",
			"CapPrm":     "[0000000000000000]",
			"CapEff":     "[0000000000000000]",
			"CapAmb":     "[0000000000000000]",
			"NoNewPrivs": "[1]",
		} {
			got := ""
			for line := range strings.Lines(string(text)) {
				if rest, found := strings.CutPrefix(line, key+":"); found {
					got = fmt.Sprint(strings.Fields(rest))
				}
			}
			if key == "Groups" && got == fmt.Sprint([]int{want.extra}) {
				continue // the C library leaves the user's own out
			}
			if got != value {
				t.Errorf("%s: %s is %s, want %s", name, key, got, value)
			}
		}
	}
	if looked < 3 {
		t.Errorf("%d threads of the pump were looked at", looked)
	}
}

// checkBounding sees that no thread of a process could give a capability to what it starts.
func checkBounding(t *testing.T, pid int) {
	t.Helper()
	const setPCap = 1 << 8 // what emptying the set takes
	var own uint64
	text, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(text)) {
		if set, found := strings.CutPrefix(line, "CapEff:"); found {
			own, _ = strconv.ParseUint(strings.TrimSpace(set), 16, 64)
		}
	}
	if own&setPCap == 0 {
		t.Log("root has not CAP_SETPCAP here: the bounding set stays")
		return
	}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err == nil && !strings.Contains(string(text), "CapBnd:\t0000000000000000") {
			t.Errorf("%s: the bounding set is not empty:\n%s", name, text)
		}
	}
}

// eventuallySaid waits until the log has a line with all the words, and returns it.
func (p *PumpProc) eventuallySaid(t *testing.T, words ...string) line {
	t.Helper()
	var found line
	eventually(t, 20*time.Second, "the log has "+strings.Join(words, ", "), func() bool {
		lines := p.proc.said(func(s string) bool {
			for _, w := range words {
				if !strings.Contains(s, w) {
					return false
				}
			}
			return true
		})
		if len(lines) > 0 {
			found = lines[len(lines)-1]
		}
		return len(lines) > 0
	})
	return found
}

// checkPlays lets a viewer have some packets.
func checkPlays(t *testing.T, port int, secure bool) {
	t.Helper()
	watchRaw(t, port, "card", secure, 20*time.Second, func(f []rawFrame) bool { return len(f) > 20 })
}

// Root binds a port below 1024 and reads a key that only root can read; then every thread of the pump is an ordinary
// user's, also those that come later, and viewers are served.
func TestRootGivesItsPrivilegesUp(t *testing.T) {
	want := needUser(t)
	t.Parallel()
	for name, build := range map[string]func() (string, error){"with the C library": buildPump, "as released": buildRelease} {
		t.Run(name, func(t *testing.T) {
			binary, err := build()
			if err != nil {
				t.Fatal(err)
			}
			cert, key := publicCertificate(t)
			secure := freePort(t)
			config := fmt.Sprintf("run_as: {user: %s, groups: [%s]}\nssl: true\nssl_port: %d\nssl_key: %s\nssl_cert: %s\n",
				testUser, testGroup, secure, key, cert) + "streams:\n  - {name: Card, type: test_card, path: card}"
			pump := rootsPump(t, binary, config)
			pid := pump.proc.cmd.Process.Pid
			checkDropped(t, pid, want)
			checkPlays(t, pump.Port, false)
			checkPlays(t, secure, true)
			checkDropped(t, pid, want)
			if name == "as released" {
				checkBounding(t, pid)
			}

			if became, served := pump.eventuallySaid(t, "running as"), pump.eventuallySaid(t, "listening"); became.at > served.at {
				t.Error("it accepted before it had become the user")
			}
			pump.eventuallySaid(t, "a reload will not be able to read this", key, testUser)

			// The key cannot be read again: the certificate stays, and everything else is applied.
			pump.Rewrite(t, "hold: 45s\n"+config)
			pump.Reload(t)
			pump.eventuallySaid(t, "not done", "the certificate in force stays", key, testUser)
			pump.eventuallySaid(t, "applied", "hold: 30s → 45s")
			checkPlays(t, secure, true)

			// A new program cannot read it either: this one goes on.
			if err := pump.proc.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
				t.Fatal(err)
			}
			pump.eventuallySaid(t, key, "permission denied", "stream-pump: ")
			pump.eventuallySaid(t, "the new program does not serve, this one goes on")
			checkPlays(t, pump.Port, false)

			// Neither can the configuration be read, once it is root's alone.
			if err := os.Chmod(pump.Config, 0o600); err != nil {
				t.Fatal(err)
			}
			pump.Reload(t)
			pump.eventuallySaid(t, "reloading", pump.Config, "permission denied", "let that user, or a group in run_as.groups, read the file")
			checkPlays(t, pump.Port, false)
		})
	}
}

// A program that is no longer root hands its sockets to a new one, which serves at a port that it could not have opened.
func TestHandOverWithoutPrivileges(t *testing.T) {
	want := needUser(t)
	t.Parallel()
	binary, err := buildPump()
	if err != nil {
		t.Fatal(err)
	}
	pump := rootsPump(t, binary, fmt.Sprintf("run_as: {user: %s, groups: [%s]}\nstreams:\n  - {name: Card, type: test_card, path: card}", testUser, testGroup))
	if err := pump.proc.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	successor := handedOverTo(pump.eventuallySaid(t, "handed over").text)
	eventually(t, 45*time.Second, "the old program has ended by itself", func() bool { return zombie(pump.proc.cmd.Process.Pid) })
	pump.WaitState(t, "card", "live", 10*time.Second)
	checkDropped(t, successor, want)
	checkPlays(t, pump.Port, false)

	pump.Rewrite(t, fmt.Sprintf("hold: 45s\nrun_as: {user: %s, groups: [%s]}\nstreams:\n  - {name: Card, type: test_card, path: card}", testUser, testGroup))
	if err := syscall.Kill(successor, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	pump.eventuallySaid(t, "applied", "hold: 30s → 45s")
	if err := syscall.Kill(successor, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if !pump.proc.ended(20 * time.Second) {
		t.Error("the new program has not ended after SIGTERM")
	}
	pump.stopped = true
	pump.checkRaces(t)
}

// A pump that cannot become who it should be ends, and says why.
func TestPrivilegesThatCannotBeGivenUp(t *testing.T) {
	needUser(t)
	t.Parallel()
	binary, err := buildRelease()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		runAs string
		under []string // what starts the program
		says  string
	}{
		"no such user":            {"{user: no-such-user}", nil, `this machine has no user "no-such-user"`},
		"no such group":           {"{user: " + testUser + ", groups: [no-such-group]}", nil, `this machine has no group "no-such-group"`},
		"another user starts it":  {"{user: nobody}", []string{"setpriv", "--reuid", testUser, "--regid", testUser, "--clear-groups"}, "only root can become another user"},
		"with other groups":       {"{user: " + testUser + ", groups: [" + testGroup + "]}", []string{"setpriv", "--reuid", testUser, "--regid", testUser, "--clear-groups"}, "supplementary groups"},
		"root may not set groups": {"{user: " + testUser + "}", []string{"setpriv", "--bounding-set", "-setgid"}, "setting the supplementary groups: operation not permitted"},
		"root may not set users":  {"{user: " + testUser + "}", []string{"setpriv", "--bounding-set", "-setuid"}, "setting the user: operation not permitted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port := freePort(t)
			file := filepath.Join(publicDir(t), "pump.yml")
			text := fmt.Sprintf("listen: [127.0.0.1:%d]\nadmin: 'off'\nrun_as: %s\nstreams: [{type: test_card, path: card}]\n", port, c.runAs)
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			args := append(c.under[:len(c.under):len(c.under)], binary, "-log-format", "json", "run", file)
			p := start(t, "stream-pump", exec.Command(args[0], args[1:]...))
			if !p.ended(20 * time.Second) {
				t.Fatal("it serves")
			}
			if code := p.cmd.ProcessState.ExitCode(); code != 1 {
				t.Errorf("it ended with %d, want 1", code)
			}
			if lines := p.said(func(s string) bool { return strings.Contains(s, c.says) }); len(lines) == 0 {
				t.Errorf("it did not say %q", c.says)
			}
			if lines := p.said(func(s string) bool { return strings.Contains(s, "listening") }); len(lines) != 0 {
				t.Errorf("it served first: %s", lines[0].text)
			}
		})
	}
}
