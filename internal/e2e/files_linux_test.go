package e2e

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A crowd takes every descriptor that there is for connections. Who watches goes on; the operators' port answers; a
// source that is lost meanwhile is found again; the log says what happens; and when the crowd has left newcomers are
// served as before.
func TestDescriptorsRunOut(t *testing.T) {
	if testing.Short() {
		t.Skip("runs programs; left out with -short")
	}
	const files, crowdSize = 200, 400
	above := Pump(t, "streams:\n  - {name: Card, type: test_card, path: card}")
	pump := pumpBy(t, fmt.Sprintf(`
pull: {backoff: {min: 200ms, max: 500ms}}
hold: 1m
request: {head_timeout: 1m}
streams:
  - {name: Card, type: test_card, path: card}
  - {name: Pull, type: mmsh_pull, path: pull, source_options: {url: '%s'}}`, above.MMSH("card")),
		func(cmd *exec.Cmd) *exec.Cmd {
			own := exec.Command("sh", append([]string{"-c", fmt.Sprintf(`ulimit -n %d && exec "$@"`, files), "sh"}, cmd.Args...)...)
			own.Env = cmd.Env
			return own
		})
	pump.WaitState(t, "card", "live", 10*time.Second)
	pump.WaitState(t, "pull", "live", 10*time.Second)
	ends := []func() []rawFrame{onlooker(t, pump, "card"), onlooker(t, pump, "card")}
	held := onlooker(t, pump, "pull")
	pump.waitViewers(t, "card", 2)
	pump.waitViewers(t, "pull", 1)

	var crowd []net.Conn
	for range crowdSize {
		c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", pump.Port), 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		crowd = append(crowd, c)
	}
	eventually(t, 20*time.Second, "the log says that clients are turned away", func() bool {
		return len(pump.proc.said(func(s string) bool { return strings.Contains(s, "clients are turned away") })) > 0
	})
	above.Kill()
	pump.WaitState(t, "pull", "connecting", 10*time.Second) // told by the operators' port
	above.Restart(t)
	pump.WaitState(t, "pull", "live", 20*time.Second)
	pump.waitPackets(t, "card", 60)
	pump.waitPackets(t, "pull", 30)
	if _, err := joinRaw(pump.Port, "card", false); err == nil {
		t.Error("there was room for one more viewer: the crowd was too small")
	}
	for _, c := range crowd {
		_ = c.Close()
	}
	eventually(t, 20*time.Second, "a newcomer is served", func() bool {
		v, err := joinRaw(pump.Port, "card", false)
		if err != nil {
			return false
		}
		defer v.close()
		f, err := v.next(5 * time.Second)
		return err == nil && f.kind == 'H'
	})
	for _, end := range append(ends, held) {
		checkUnbroken(t, end())
	}
}
