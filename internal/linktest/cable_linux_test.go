package linktest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// Both ends of the cable have the same name, each in its namespace.
const (
	device   = "cable0"
	nearAddr = "10.213.86.1"
	farAddr  = "10.213.86.2"
	rate     = "20mbit"
)

// cable joins two namespaces. Its rate is limited both ways.
type cable struct{ near, far namespace }

// lay makes both namespaces and the cable, which are removed at the end of the test. The test is skipped where that
// is not possible, and fails if it ought to be.
func lay(t *testing.T) *cable {
	t.Helper()
	if testing.Short() {
		t.Skip("takes a minute; left out with -short")
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can make network namespaces")
	}
	for _, program := range []string{"ip", "tc"} {
		if _, err := exec.LookPath(program); err != nil {
			missing(t, program+" is not installed; scripts/install-test-deps installs it")
		}
	}
	sweep(t)
	c := &cable{near: named(os.Getpid(), "near"), far: named(os.Getpid(), "far")}
	guard(t, c.near, c.far)
	if err := c.setUp(); err != nil {
		missing(t, fmt.Sprintf("no namespaces with a limited cable here: %v", err))
	}
	return c
}

func missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func (c *cable) setUp() error {
	near, far := string(c.near), string(c.far)
	steps := [][]string{
		{"ip", "netns", "add", near},
		{"ip", "netns", "add", far},
		{"ip", "-n", near, "link", "add", device, "type", "veth", "peer", "name", device, "netns", far},
		{"ip", "-n", near, "address", "add", nearAddr + "/30", "dev", device},
		{"ip", "-n", far, "address", "add", farAddr + "/30", "dev", device},
	}
	for _, side := range []string{near, far} {
		steps = append(steps,
			[]string{"tc", "-n", side, "qdisc", "add", "dev", device, "root", "tbf", "rate", rate, "burst", "32kb", "latency", "100ms"},
			[]string{"ip", "-n", side, "link", "set", "lo", "up"},
			[]string{"ip", "-n", side, "link", "set", device, "up"})
	}
	for _, step := range steps {
		if _, err := system(step...); err != nil {
			return err
		}
	}
	return nil
}

// cut pulls the plug at the far end: both ends lose the carrier, whatever is sent is lost, and no connection is told.
func (c *cable) cut(t *testing.T) { c.set(t, "down") }

// mend puts the plug back.
func (c *cable) mend(t *testing.T) { c.set(t, "up") }

func (c *cable) set(t *testing.T, state string) {
	t.Helper()
	if _, err := system("ip", "-n", string(c.far), "link", "set", device, state); err != nil {
		t.Fatal(err)
	}
}

// carried counts bytes since the cable was laid, frames with all their headers: down towards the far end, up back.
type carried struct{ down, up uint64 }

func (c *cable) carried(t *testing.T) carried {
	t.Helper()
	out, err := system("ip", "-n", string(c.near), "-s", "-j", "link", "show", "dev", device)
	if err != nil {
		t.Fatal(err)
	}
	type counter struct{ Bytes uint64 }
	var links []struct {
		Stats struct{ Rx, Tx counter } `json:"stats64"`
	}
	if err := json.Unmarshal([]byte(out), &links); err != nil || len(links) != 1 {
		t.Fatalf("counters of the cable: %v: %s", err, out)
	}
	return carried{down: links[0].Stats.Tx.Bytes, up: links[0].Stats.Rx.Bytes}
}

func (c carried) since(before carried) carried {
	return carried{down: c.down - before.down, up: c.up - before.up}
}
