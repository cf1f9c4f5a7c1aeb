package linktest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
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

var laid atomic.Int32 // cables in this test run: each has namespaces of its own

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
	pid, n := os.Getpid(), laid.Add(1)
	c := &cable{near: named(pid, fmt.Sprintf("near%d", n)), far: named(pid, fmt.Sprintf("far%d", n))}
	t.Cleanup(func() {
		c.near.remove(t)
		c.far.remove(t)
	})
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
	laying.Lock()
	defer laying.Unlock()
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

// outage is a way to interrupt the cable: no connection is told, whatever is sent is lost.
type outage struct {
	name      string
	cut, mend func(*testing.T, *cable)
}

// unplugged takes the carrier from both ends, so the sender's system notices that nothing leaves.
var unplugged = outage{
	name: "unplugged",
	cut:  func(t *testing.T, c *cable) { c.ip(t, c.far, "link", "set", device, "down") },
	mend: func(t *testing.T, c *cable) { c.ip(t, c.far, "link", "set", device, "up") },
}

// swallowed is an interruption further away: frames go out as ever, to an Ethernet address nobody has. The sender
// only learns of it by the silence, and repeats what it sent after longer and longer pauses.
var swallowed = outage{
	name: "swallowed",
	cut: func(t *testing.T, c *cable) {
		const nobody = "02:00:00:00:00:99"
		c.ip(t, c.near, "neighbour", "replace", farAddr, "lladdr", nobody, "nud", "permanent", "dev", device)
		c.ip(t, c.far, "neighbour", "replace", nearAddr, "lladdr", nobody, "nud", "permanent", "dev", device)
	},
	mend: func(t *testing.T, c *cable) {
		c.ip(t, c.near, "neighbour", "del", farAddr, "dev", device)
		c.ip(t, c.far, "neighbour", "del", nearAddr, "dev", device)
	},
}

func (c *cable) ip(t *testing.T, in namespace, args ...string) {
	t.Helper()
	if _, err := system(append([]string{"ip", "-n", string(in)}, args...)...); err != nil {
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
