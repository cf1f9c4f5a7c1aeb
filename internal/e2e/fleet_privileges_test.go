package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Root reads the authority of the house from a file that is root's alone, and then is an ordinary user. A reload cannot read the
// file again: it says so, the authority in force stays, and what else is new is applied. A house that comes back is
// verified by it. A file that the user may read is read anew, and another one that he may not is refused.
func TestAPumpWithoutPrivilegesKnowsItsHouse(t *testing.T) {
	want := needUser(t)
	t.Parallel()
	binary, err := buildPump()
	if err != nil {
		t.Fatal(err)
	}
	house := newHouse(t, "house", "pumps_roster_json: pumps.json\nstreams: [{path: card, type: test_card}]\n"+operatorUser)
	house.write(t, "pumps.json", fmt.Sprintf(`[{"id": "calgary", "key": %q}]`, keyOf("calgary")))
	house.Start(t)
	house.WaitReady(t, time.Minute)
	dir := publicDir(t)
	authority, err := os.ReadFile(house.CA(t))
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string, mode os.FileMode) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, authority, mode); err != nil {
			t.Fatal(err)
		}
		return name
	}
	secret, open := file("secret.pem", 0o600), file("open.pem", 0o644)
	cache := filepath.Join(dir, "cache")
	if err = os.Mkdir(cache, 0o700); err == nil {
		err = os.Chown(cache, want.uid, want.gid)
	}
	if err != nil {
		t.Fatal(err)
	}
	config := func(hold, ca string) string {
		return fmt.Sprintf("hold: %s\nrun_as: {user: %s, groups: [%s]}\nhouse: {url: %q, id: calgary, key: %q, ca: %q, cache: %q}", hold, testUser, testGroup, house.Secure(""), keyOf("calgary"), ca, cache)
	}
	pump := &PumpProc{Port: freePort(t), AdminPort: freePort(t), stopped: true, Config: filepath.Join(dir, "pump.yml")}
	pump.Rewrite(t, config("30s", secret))
	pump.launch(t, binary)
	pump.WaitState(t, "card", "live", 20*time.Second)
	checkDropped(t, pump.proc.cmd.Process.Pid, want)
	pump.eventuallySaid(t, "a reload will not be able to read this", secret, testUser)

	pump.Rewrite(t, config("45s", secret))
	pump.Reload(t)
	pump.eventuallySaid(t, "not done", "the authorities in force stay", secret, testUser)
	pump.eventuallySaid(t, "applied", "hold: 30s → 45s")
	house.proc.kill()
	house.Start(t)
	up := func() bool {
		var said struct{ State string }
		return house.api(http.MethodGet, "/api/v1/pumps/calgary", &said) == http.StatusOK && said.State == "up"
	}
	eventually(t, 45*time.Second, "the pump knows the house that has come back", up)

	pump.Rewrite(t, config("50s", file("other.pem", 0o600)))
	pump.Reload(t)
	pump.eventuallySaid(t, "house.ca", "other.pem", "permission denied", "let that user, or a group in run_as.groups, read the file")
	if said := pump.proc.said(func(s string) bool { return strings.Contains(s, "hold: 45s → 50s") }); len(said) > 0 {
		t.Errorf("a reload that was refused is in force: %s", said[0].text)
	}

	pump.Rewrite(t, config("55s", open))
	pump.Reload(t)
	pump.eventuallySaid(t, "applied", "hold: 45s → 55s")
	if err := pump.proc.cmd.Process.Signal(syscall.SIGUSR2); err != nil { // a new program can read it, and nothing of root's
		t.Fatal(err)
	}
	successor := handedOverTo(pump.eventuallySaid(t, "handed over").text)
	eventually(t, 45*time.Second, "the old program has ended by itself", func() bool { return zombie(pump.proc.cmd.Process.Pid) })
	checkDropped(t, successor, want)
	eventually(t, 45*time.Second, "the house knows the new program", up)
	checkPlays(t, pump.Port, false)
	if err := syscall.Kill(successor, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if !pump.proc.ended(20 * time.Second) {
		t.Error("the new program has not ended after SIGTERM")
	}
	pump.stopped = true
	pump.checkRaces(t)
}
