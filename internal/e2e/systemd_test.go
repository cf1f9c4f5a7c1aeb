package e2e

import (
	"context"
	"errors"
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

// bootScript makes of a file system a machine of its own and becomes its systemd, in namespaces of processes, mounts,
// networks and control groups that end with it. Nothing of this machine's own services is started there.
const bootScript = `set -e
R=$1
mount -t proc proc $R/proc
mount -t sysfs -o ro sysfs $R/sys
mount -t cgroup2 none $R/sys/fs/cgroup
mount -t tmpfs -o mode=755 none $R/dev
for n in null zero full random urandom tty; do touch $R/dev/$n; mount --bind /dev/$n $R/dev/$n; done
mkdir $R/dev/shm $R/dev/pts $R/old
touch $R/dev/console
ln -s /proc/self/fd $R/dev/fd
mount -t tmpfs none $R/dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts $R/dev/pts
ln -s pts/ptmx $R/dev/ptmx
mount -t tmpfs none $R/run
mount -t tmpfs none $R/tmp
ip link set lo up
rm -rf $R/etc/systemd/system
mkdir -p $R/etc/systemd/system
printf '[Unit]\nRequires=basic.target\nAfter=basic.target\n' >$R/etc/systemd/system/bare.target
for u in systemd-udevd.service systemd-udev-trigger.service systemd-timesyncd.service systemd-networkd.service \
	systemd-resolved.service systemd-modules-load.service systemd-sysctl.service systemd-logind.service dev-hugepages.mount; do
	ln -s /dev/null $R/etc/systemd/system/$u
done
cd $R
pivot_root . old
umount -l old
container=test exec /lib/systemd/systemd --system --unit=bare.target --log-target=console --show-status=no
`

// booted is a machine on which a real systemd runs.
type booted struct {
	*machine
	init int // its process, as seen from here
}

// boot starts systemd on the machine.
func (m *machine) boot(t *testing.T) *booted {
	t.Helper()
	group := m.controlGroup(t)
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "--pid", "--net", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child",
		"sh", "-c", bootScript, "boot", m.root)
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd())}
	p := start(t, "systemd", cmd)
	b := &booted{machine: m}
	eventually(t, 30*time.Second, "systemd is up", func() bool {
		if p.ended(0) {
			t.Skipf("this machine lets nobody start a systemd beside its own:\n%s", p.tail(5))
		}
		if b.init == 0 {
			b.init = childOf(p.cmd.Process.Pid)
			return false
		}
		out, _ := b.run("systemctl", "is-system-running")
		return strings.TrimSpace(out) == "running" || strings.TrimSpace(out) == "degraded"
	})
	return b
}

// controlGroup makes a group of processes that the machine may divide as it likes.
func (m *machine) controlGroup(t *testing.T) *os.File {
	t.Helper()
	dir := filepath.Join(publicDir(t), "groups")
	err := os.Mkdir(dir, 0o755)
	if err == nil {
		err = syscall.Mount("none", dir, "cgroup2", 0, "")
	}
	if err != nil {
		t.Skipf("this machine lets nobody make control groups: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	top := filepath.Join(dir, fmt.Sprintf("stream-pump-test-%d", os.Getpid()))
	if err := os.Mkdir(top, 0o755); err != nil {
		t.Skipf("this machine lets nobody make control groups: %v", err)
	}
	t.Cleanup(func() {
		eventually(t, 20*time.Second, "the control groups are gone", func() bool { removeGroups(top); _, err := os.Stat(top); return err != nil })
	})
	f, err := os.Open(top)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// removeGroups removes a control group and those within, as far as nothing runs in them.
func removeGroups(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			removeGroups(filepath.Join(dir, e.Name()))
		}
	}
	_ = syscall.Rmdir(dir)
}

// childOf gives the first child of a process, 0 while there is none.
func childOf(pid int) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	first, _, _ := strings.Cut(string(text), " ")
	child, _ := strconv.Atoi(first)
	return child
}

// run runs a command on the booted machine.
func (b *booted) run(command ...string) (string, bool) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.Context()), slack*time.Minute) // the cleanup asks too
	defer cancel()
	args := append([]string{"-t", strconv.Itoa(b.init), "-m", "-p", "-n", "-u", "-i", "-C", "-r", "-w", "/usr/bin/env"}, command...)
	cmd := exec.CommandContext(ctx, "nsenter", args...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "HOME=/root"}
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.Fatalf("%q: %v", command, err)
	}
	return string(out), err == nil
}

func (b *booted) must(command ...string) string {
	b.Helper()
	out, ok := b.run(command...)
	if !ok {
		b.Fatalf("%q failed:\n%s", command, out)
	}
	return out
}

// property asks systemd about the pump's unit.
func (b *booted) property(name string) string {
	b.Helper()
	return strings.TrimSpace(b.must("systemctl", "show", "-p", name, "--value", "stream-pump.service"))
}

// awaits waits until a property of the unit is so.
func (b *booted) awaits(t *testing.T, name, want string) {
	t.Helper()
	got := ""
	defer func() {
		if t.Failed() {
			t.Logf("%s is %q", name, got)
		}
	}()
	eventually(t, 40*time.Second, name+" is "+want, func() bool { got = b.property(name); return strings.Contains(got, want) })
}

// plays tells whether a stream comes at a port of the machine.
func (b *booted) plays(t *testing.T, port int) {
	t.Helper()
	address, said := fmt.Sprintf("mmsh://localhost:%d/streams/card", port), ""
	eventually(t, 20*time.Second, address+" plays", func() (ok bool) {
		said, ok = b.run("stream-pump", "probe", "-duration", "500ms", address)
		return ok
	})
	if !strings.Contains(said, "a key frame") || !strings.Contains(said, "gaps        0,") {
		t.Errorf("%s: %s", address, said)
	}
}

// override sets a unit's drop-in; empty removes it.
func (b *booted) override(unit, text string) {
	b.Helper()
	dir := "/etc/systemd/system/" + unit + ".d"
	if text == "" {
		b.must("rm", "-r", dir)
	} else {
		b.must("sh", "-c", `mkdir -p $0 && printf "$1" >$0/test.conf`, dir, text)
	}
	b.must("systemctl", "daemon-reload")
}

// The package, on a machine with a real systemd: the unit's sandbox lets the pump do all it has to, and systemd and the
// pump understand each other about starting, reloading, replacing, hanging, crashing and stopping.
func TestUnderSystemd(t *testing.T) {
	need(t, "dpkg", "systemctl", "journalctl", "nsenter", "unshare", "pivot_root", "ip")
	t.Parallel()
	m := newMachine(t)
	if m.has("/usr/bin/stream-pump") {
		t.Skip("a Stream Pump is installed on this machine")
	}
	file := m.bring("*.deb")
	b := m.boot(t)
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := b.run("sh", "-c", "systemctl --no-pager status stream-pump; journalctl --no-pager -o cat -n 60")
			t.Logf("the journal:\n%s", out)
		}
	})
	b.must("dpkg", "-i", file)
	b.must("sed", "-i", `s/^streams: \[\]/streams: [{path: card, type: test_card}]/`, packagedConfig)

	b.must("systemctl", "enable", "--now", "stream-pump")
	b.awaits(t, "StatusText", "1 of 1 streams live")
	b.plays(t, 8086)
	first := b.property("MainPID")
	for file, want := range map[string]string{"timerslack_ns": "1000000\n", "status": "Seccomp:\t2"} {
		if text := b.must("cat", "/proc/"+first+"/"+file); !strings.Contains(text, want) {
			t.Errorf("the pump's %s is without %q:\n%s", file, want, text)
		}
	}
	if out := b.must("journalctl", "--no-pager", "-o", "cat", "-u", "stream-pump"); !strings.Contains(out, `"running as","user":"stream-pump"`) || strings.Contains(out, "ERROR") {
		t.Errorf("the pump says:\n%s", out)
	}

	b.must("sed", "-i", "s/^hold: 30s/hold: 40s/", packagedConfig)
	b.must("systemctl", "reload", "stream-pump")
	eventually(t, 20*time.Second, "the reload is applied", func() bool {
		return strings.Contains(b.must("journalctl", "--no-pager", "-o", "cat", "-u", "stream-pump"), "hold: 30s → 40s")
	})
	b.must("sed", "-i", "$anonsense: 1", packagedConfig)
	b.must("systemctl", "reload", "stream-pump")
	b.awaits(t, "StatusText", "the last reload was refused")

	// It is still there, and no wrong configuration is tried again and again.
	if pid := b.property("MainPID"); pid != first {
		t.Errorf("a broken file has restarted the pump, %s → %s", first, pid)
	}
	if out, ok := b.run("systemctl", "restart", "stream-pump"); ok {
		t.Errorf("it starts with a broken file: %s", out)
	}
	b.awaits(t, "ActiveState", "failed")
	if n := b.property("NRestarts"); n != "0" {
		t.Errorf("a broken file was tried %s times more", n)
	}
	b.must("sed", "-i", "/nonsense/d", packagedConfig)
	b.must("systemctl", "restart", "stream-pump")
	b.plays(t, 8086)

	// The next version: the same service goes on, under another number.
	first = b.property("MainPID")
	b.must("dpkg", "--force-confold", "-i", file)
	eventually(t, 40*time.Second, "the new program serves", func() bool { pid := b.property("MainPID"); return pid != first && pid != "0" })
	b.plays(t, 8086)
	if n := b.property("NRestarts"); n != "0" {
		t.Errorf("the upgrade was a restart")
	}

	// Crashed, killed or hung: it is started again.
	restarts := 0
	for _, end := range []string{"ABRT", "KILL", "STOP"} {
		if end == "STOP" {
			b.override("stream-pump.service", "[Service]\nWatchdogSec=10\n")
			b.must("systemctl", "restart", "stream-pump")
			restarts = 0
			b.plays(t, 8086)
		}
		restarts++
		b.must("kill", "-"+end, b.property("MainPID"))
		b.awaits(t, "NRestarts", strconv.Itoa(restarts))
		b.awaits(t, "SubState", "running")
		b.plays(t, 8086)
	}

	// The two ways to a port below 1024.
	b.override("stream-pump.service", "[Service]\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\nAmbientCapabilities=CAP_NET_BIND_SERVICE\nPrivateUsers=no\nEnvironment=STREAM_PUMP_PORT=81\n")
	b.must("systemctl", "restart", "stream-pump")
	b.plays(t, 81)
	b.override("stream-pump.service", "")
	b.must("systemctl", "stop", "stream-pump")
	if result := b.property("Result"); result != "success" {
		t.Errorf("it was stopped with %s", result)
	}
	b.override("stream-pump.socket", "[Socket]\nListenStream=\nListenStream=80\n")
	b.must("systemctl", "start", "stream-pump.socket")
	if state := b.property("ActiveState"); state != "inactive" {
		t.Errorf("the pump is %s before anybody has come", state)
	}
	b.plays(t, 80)
	b.must("kill", "-KILL", b.property("MainPID"))
	b.plays(t, 80)

	// A house, likewise.
	if b.has("/usr/bin/pump-house") {
		house := func(property string) string {
			return strings.TrimSpace(b.must("systemctl", "show", "-p", property, "--value", "pump-house.service"))
		}
		serves := func() bool {
			_, ok := b.run("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8090")
			return ok && house("SubState") == "running"
		}
		b.must("systemctl", "start", "pump-house")
		eventually(t, 30*time.Second, "the house serves", serves)
		b.must("kill", "-ABRT", house("MainPID"))
		eventually(t, 30*time.Second, "the house is started again", func() bool { return house("NRestarts") == "1" && serves() })
	}

	b.must("dpkg", "-r", "stream-pump")
	if state := b.property("ActiveState"); state != "inactive" {
		t.Errorf("removed, the pump is %s", state)
	}
}
