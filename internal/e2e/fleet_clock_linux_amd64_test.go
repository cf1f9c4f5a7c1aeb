package e2e

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/access"
)

// clockHouse is a house with a pump's place, a stream for everybody and one for signed addresses.
func clockHouse(t *testing.T) *HouseProc {
	t.Helper()
	h := newHouse(t, "clock", "pumps_roster_json: pumps.json\nsigning: {keys: [{name: k, secret: 'sixteen bytes and more'}]}\n"+
		"streams: [{path: card, type: test_card}, {path: signed, type: test_card, play: {signed: true}}]\n"+operatorUser)
	h.write(t, "pumps.json", fmt.Sprintf(`[{"id": "calgary", "key": %q, "networks": ["127.0.0.0/8"]}, {"id": "invited"}]`, keyOf("calgary")))
	h.Start(t)
	h.WaitReady(t, time.Minute)
	return h
}

// up waits until the house hears a pump, and sends viewers of the stream to it.
func (h *HouseProc) up(t *testing.T, id string) {
	t.Helper()
	eventually(t, 20*time.Second, h.Name+" hears "+id, func() bool {
		var said struct{ State string }
		h.api(http.MethodGet, "/api/v1/pumps/"+id, &said)
		return said.State == "up"
	})
}

// A pump whose clock is an hour off is told so by the house, and tells it itself. It is used like all others: only signed addresses
// end at its own time. The clock is that of the pump's process, which the test moves.
func TestAPumpWithAClockAnHourOff(t *testing.T) {
	if testing.Short() {
		t.Skip("runs real programs; left out with -short")
	}
	t.Parallel()
	for name, off := range map[string]time.Duration{"ahead": time.Hour, "behind": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := clockHouse(t)
			ca := h.CA(t)
			h.proc.kill() // the pump says hello once its clock is off
			pump := fleetPump(t, "calgary", h.Secure(""), ca)
			holdClock(t, pump.proc.cmd.Process.Pid).set(t, off)
			h.Start(t)
			h.WaitReady(t, time.Minute)
			h.up(t, "calgary")
			h.proc.waitSays(t, "the clock of a pump is wrong")
			pump.proc.waitSays(t, "the clock is off the house's")
			exactly, nearly := strings.TrimSuffix(off.String(), "0m0s"), strings.Replace(off.String(), "1h0m0s", "59m", 1)
			if !h.proc.says("the clock of a pump is wrong", exactly) && !h.proc.says("the clock of a pump is wrong", nearly) {
				t.Errorf("the house does not say by how much: %s", off)
			}
			pump.WaitState(t, "card", "live", 20*time.Second)
			eventually(t, 20*time.Second, "viewers are sent to it", func() bool { return status(h.Plain("/streams/card.asx")) == http.StatusOK })
			for expires, good := range map[time.Duration]bool{90 * time.Minute: true, 30 * time.Minute: off < 0, -30 * time.Minute: off < 0, -90 * time.Minute: false} {
				query, err := access.Key{Name: "k", Secret: "sixteen bytes and more"}.Sign(access.Grant{Stream: "signed", Expires: time.Now().Add(expires)}, "id")
				if err != nil {
					t.Fatal(err)
				}
				address := fmt.Sprintf("http://127.0.0.1:%d/streams/signed?%s", pump.Port, query)
				if got := status(address); (got == http.StatusOK) != good {
					t.Errorf("an address that ends %v from now: %d", expires, got)
				}
			}
		})
	}
}

// A house whose clock is an hour off hears its pumps, lets a new one join with an invite, and delegates; the pumps say that the clocks
// differ.
func TestAHouseWithAClockAnHourOff(t *testing.T) {
	if testing.Short() {
		t.Skip("runs real programs; left out with -short")
	}
	t.Parallel()
	for name, off := range map[string]time.Duration{"ahead": time.Hour, "behind": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := clockHouse(t)
			holdClock(t, h.proc.cmd.Process.Pid).set(t, off)
			out, err := exec.Command(built(t, houseProgram), "invite", "-config", filepath.Join(h.Dir, "house.yaml"), "-id", "invited").Output()
			if err != nil {
				t.Fatal(err)
			}
			invited := &PumpProc{Port: freePort(t), AdminPort: freePort(t), stopped: true, Config: filepath.Join(t.TempDir(), "pump.yml")}
			invited.Rewrite(t, fmt.Sprintf("house: {url: %q, id: invited, invite: %q}", h.Secure(""), strings.TrimSpace(string(out))))
			invited.launch(t, built(t, pumpProgram))
			pump := fleetPump(t, "calgary", h.Secure(""), h.CA(t))
			for id, p := range map[string]*PumpProc{"calgary": pump, "invited": invited} {
				h.up(t, id)
				p.proc.waitSays(t, "the clock is off the house's")
				p.WaitState(t, "card", "live", 20*time.Second)
			}
			eventually(t, 20*time.Second, "viewers are sent on", func() bool { return status(h.Plain("/streams/card.asx")) == http.StatusOK })
		})
	}
}
