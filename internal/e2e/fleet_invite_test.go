package e2e

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A pump joins with an invite that the command prints, and needs neither invite nor key from then on. Nobody joins with it a
// second time. When its certificate is revoked, the house does not hear it any more, and its viewers notice nothing.
func TestAPumpJoinsWithAnInvite(t *testing.T) {
	if testing.Short() {
		t.Skip("plays real programs; left out with -short")
	}
	house := newHouse(t, "house", "pumps_roster_json: pumps.json\nstreams: [{path: card, type: test_card}]\n"+operatorUser)
	house.write(t, "pumps.json", `[{"id": "calgary"}]`)
	house.Start(t)
	house.WaitReady(t, time.Minute)
	out, err := exec.Command(built(t, houseProgram), "invite", "-config", filepath.Join(house.Dir, "house.yaml"), "-id", "calgary").Output()
	if err != nil {
		t.Fatal(err)
	}
	invite := strings.TrimSpace(string(out))
	state := func() string {
		var said struct{ State string }
		house.api(http.MethodGet, "/api/v1/pumps/calgary", &said)
		return said.State
	}

	pump := &PumpProc{Port: freePort(t), AdminPort: freePort(t), stopped: true, Config: filepath.Join(t.TempDir(), "pump.yml")}
	pump.Rewrite(t, fmt.Sprintf("house: {url: %q, id: calgary, invite: %q}", house.Secure(""), invite))
	pump.launch(t, built(t, pumpProgram))
	pump.WaitState(t, "card", "live", 20*time.Second)
	eventually(t, 10*time.Second, "the house hears the pump", func() bool { return state() == "up" })

	pump.Kill()
	pump.Rewrite(t, fmt.Sprintf("house: {url: %q, id: calgary}", house.Secure("")))
	pump.launch(t, built(t, pumpProgram))
	pump.proc.waitSays(t, "the house knows this pump")
	eventually(t, 10*time.Second, "the house hears the pump, which has but its certificate", func() bool { return state() == "up" })

	thief := &PumpProc{Port: freePort(t), AdminPort: freePort(t), stopped: true, Config: filepath.Join(t.TempDir(), "pump.yml")}
	thief.Rewrite(t, fmt.Sprintf("house: {url: %q, id: calgary, invite: %q}", house.Secure(""), invite))
	thief.launch(t, built(t, pumpProgram))
	thief.proc.waitSays(t, "invite")
	if _, has := thief.Stream(t, "card"); has {
		t.Error("who joins a second time with an invite gets streams")
	}
	thief.Kill()

	end := onlooker(t, pump, "card")
	var certificates []struct{ Serial, Pump string }
	if code := house.api(http.MethodGet, "/api/v1/certificates", &certificates); code != http.StatusOK || len(certificates) != 1 || certificates[0].Pump != "calgary" {
		t.Fatalf("%d: the certificates are %+v, want one", code, certificates)
	}
	if code := house.api(http.MethodDelete, "/api/v1/certificates/"+certificates[0].Serial, nil); code != http.StatusOK && code != http.StatusNoContent {
		t.Fatalf("revoking: %d", code)
	}
	eventually(t, 20*time.Second, "the house does not hear the pump any more", func() bool { return state() == "down" })
	pump.waitPackets(t, "card", 60)
	checkUnbroken(t, end())
}

// waitSays waits for a warning, an error or what else a program says.
func (p *process) waitSays(t *testing.T, text string) {
	t.Helper()
	eventually(t, 20*time.Second, p.name+" says: "+text, func() bool {
		return len(p.said(func(s string) bool { return strings.Contains(s, text) })) > 0
	})
}
