package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// snmpd is a real SNMP agent, the master of ours.
type snmpd struct {
	dir, master string
	port        int
	proc        *process
}

func startSNMPD(t *testing.T, master string) *snmpd {
	t.Helper()
	need(t, "snmpd", "snmpwalk", "snmpget", "snmpset")
	s := &snmpd{dir: publicDir(t), master: master, port: freePort(t)}
	// snmpd keeps a snmpd.conf of its own in its folder.
	text := fmt.Sprintf("rocommunity test 127.0.0.1\nrwcommunity write 127.0.0.1\nmaster agentx\nagentXSocket %s\nagentXPerms 0777 0777\nagentXTimeout 10\n", master)
	if err := os.WriteFile(filepath.Join(s.dir, "agent.conf"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	s.launch(t)
	return s
}

func (s *snmpd) launch(t *testing.T) {
	t.Helper()
	cmd := exec.Command("snmpd", "-f", "-C", "-c", filepath.Join(s.dir, "agent.conf"), "-LE", "4", "-p", filepath.Join(s.dir, "pid"), "-I", "-smux,mteTrigger,mteTriggerConf",
		fmt.Sprintf("udp:127.0.0.1:%d", s.port))
	cmd.Env = append(os.Environ(), "SNMP_PERSISTENT_DIR="+s.dir, "MIBS=", "SNMPCONFPATH="+s.dir)
	s.proc = start(t, "snmpd", cmd)
}

// run runs one of Net-SNMP's tools with our MIB file and gives what it printed.
func (s *snmpd) run(t *testing.T, tool, community string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), slack*20*time.Second)
	defer cancel()
	all := append([]string{"-v2c", "-c", community, "-r", "3", "-t", "10", "-M", "../../pump/snmp/testdata/mibs:../../share/mibs", "-m", "STREAM-PUMP-MIB",
		fmt.Sprintf("127.0.0.1:%d", s.port)}, args...)
	cmd := exec.CommandContext(ctx, tool, all...)
	cmd.Env = append(os.Environ(), "SNMP_PERSISTENT_DIR="+s.dir, "SNMPCONFPATH="+s.dir)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// walk gives all our values by their names; empty when the agent does not serve them.
func (s *snmpd) walk(t *testing.T, tool string) map[string]string {
	t.Helper()
	out, _ := s.run(t, tool, "test", "STREAM-PUMP-MIB::streamPump")
	values := map[string]string{}
	for line := range strings.Lines(out) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), " = "); found && !strings.Contains(value, "No ") {
			values[strings.TrimPrefix(name, "STREAM-PUMP-MIB::")] = value
		}
	}
	return values
}

func (s *snmpd) eventually(t *testing.T, what string, ok func(map[string]string) bool) map[string]string {
	t.Helper()
	var values map[string]string
	eventually(t, 30*time.Second, what, func() bool {
		values = s.walk(t, "snmpwalk")
		return ok(values)
	})
	return values
}

func number(t *testing.T, value string) uint64 {
	t.Helper()
	_, text, _ := strings.Cut(value, ": ")
	text, _, _ = strings.Cut(text, " ")
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Errorf("%q is no number", value)
	}
	return n
}

// A monitoring desk asks the real snmpd, which asks the pump: every value has its name and type, agrees with the API,
// and comes back within seconds when snmpd was killed, however often.
func TestSNMP(t *testing.T) {
	for _, kind := range []string{"unix", "tcp"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			master := filepath.Join(publicDir(t), "master")
			if kind == "tcp" {
				master = fmt.Sprintf("tcp:127.0.0.1:%d", freePort(t))
			}
			agent := startSNMPD(t, master)
			if kind == "unix" {
				master = "unix:" + master
			}
			pump := Pump(t, fmt.Sprintf("snmp: {agentx: '%s'}\nstreams:\n  - {name: Test card, type: test_card, path: card}\n  - {name: Nobody, type: mmsh_push, path: nobody}", master))
			pump.WaitState(t, "card", "live", 10*time.Second)
			end := onlooker(t, pump, "card")
			pump.waitViewers(t, "card", 1)

			values := agent.eventually(t, "the viewer is seen", func(v map[string]string) bool { return strings.HasSuffix(v["spStreamViewers.1"], ": 1") })
			for name, want := range map[string]string{
				"spStreamPath.1":     "STRING: card",
				"spStreamName.1":     "STRING: Test card",
				"spStreamState.1":    "INTEGER: live(3)",
				"spStreamSourceUp.1": "INTEGER: true(1)",
				"spStreamSource.1":   "STRING: test card",
				"spStreamPath.2":     "STRING: nobody",
				"spStreamState.2":    "INTEGER: offline(1)",
				"spStreamSourceUp.2": "INTEGER: false(2)",
				"spStreamViewers.2":  "Gauge32: 0",
				"spStreams.0":        "Gauge32: 2",
				"spStreamsOnAir.0":   "Gauge32: 1",
				"spViewers.0":        "Gauge32: 1",
				"spViewersTotal.0":   "Counter64: 1",
				"spDraining.0":       "INTEGER: false(2)",
				"spPanics.0":         "Counter64: 0",

				"spPacketDropCount.1.malformed": "Counter64: 0",
				"spViewerEndCount.1.stalled":    "Counter64: 0",
			} {
				if !strings.HasPrefix(values[name], want) {
					t.Errorf("%s = %q, want %q", name, values[name], want)
				}
			}
			for name, value := range values {
				if strings.Contains(value, "Wrong Type") {
					t.Errorf("%s: %s", name, value)
				}
			}
			if bulk := agent.walk(t, "snmpbulkwalk"); len(bulk) != len(values) {
				t.Errorf("snmpbulkwalk finds %d values, snmpwalk %d", len(bulk), len(values))
			}
			before, _ := pump.Stream(t, "card")
			values = agent.eventually(t, "packets are counted", func(v map[string]string) bool {
				return v["spStreamPacketsIn.1"] != "" && number(t, v["spStreamPacketsIn.1"]) >= before.PacketsIn
			})
			after, _ := pump.Stream(t, "card")
			if got := number(t, values["spStreamPacketsIn.1"]); got > after.PacketsIn {
				t.Errorf("%d packets by SNMP, %d to %d by the API", got, before.PacketsIn, after.PacketsIn)
			}
			agent.eventually(t, "rates in and out", func(v map[string]string) bool {
				return v["spStreamRateIn.1"] != "" && number(t, v["spStreamRateIn.1"]) > 50 && number(t, v["spStreamRateOut.1"]) > 50
			})
			if out, err := agent.run(t, "snmpset", "write", "STREAM-PUMP-MIB::spVersion.0", "s", "mine"); err == nil {
				t.Errorf("it can be set: %s", out)
			}

			for range 3 { // killed, and started again
				agent.proc.kill()
				agent.launch(t)
				began := time.Now()
				agent.eventually(t, "the values are back", func(v map[string]string) bool { return strings.HasPrefix(v["spStreamPath.1"], "STRING: card") })
				t.Logf("back after %v", time.Since(began).Round(10*time.Millisecond))
			}
			if n := len(pump.proc.said(func(s string) bool { return strings.Contains(s, "is away") })); n > 3 {
				t.Errorf("three restarts are %d lines in the log", n)
			}

			// A stalled agent is noticed too, and the pump serves on meanwhile.
			if err := agent.proc.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			pump.waitPackets(t, "card", 20)
			if err := agent.proc.cmd.Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			checkUnbroken(t, end())
			agent.eventually(t, "the viewer has left", func(v map[string]string) bool {
				return v["spViewerEndCount.1.left"] == "Counter64: 1" && strings.HasSuffix(v["spViewers.0"], ": 0")
			})

			pump.Rewrite(t, "streams:\n  - {name: Test card, type: test_card, path: card}") // off
			pump.Reload(t)
			agent.eventually(t, "the values are gone", func(v map[string]string) bool { return len(v) == 0 })
		})
	}
}
