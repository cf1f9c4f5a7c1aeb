package e2e

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// buildPackages builds the .deb and the .rpm once per test run and gives their folder.
var buildPackages = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(scratch, "packages")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "../../packaging/build", dir, "v1.2.3-4-gabcdef", "0123456789")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", errors.New(err.Error() + "\n" + string(out))
	}
	return dir, nil
})

// machine is this machine once more, in a folder: what changes in it is gone with the test.
type machine struct {
	testing.TB
	root string
}

// newMachine lays a file system in memory over that of this machine.
func newMachine(t *testing.T) *machine {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can install packages, and have a file system to throw away")
	}
	dir := publicDir(t)
	mount := func(source, target, kind string, flags uintptr, options string) {
		if err := os.MkdirAll(target, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount(source, target, kind, flags, options); err != nil {
			t.Skipf("this machine lets nobody mount a %s: %v", kind, err)
		}
		t.Cleanup(func() {
			if err := syscall.Unmount(target, syscall.MNT_DETACH); err != nil {
				t.Errorf("unmounting %s: %v", target, err)
			}
		})
	}
	mount("none", dir, "tmpfs", 0, "size=1g,mode=755")
	upper, work, root := filepath.Join(dir, "upper"), filepath.Join(dir, "work"), filepath.Join(dir, "root")
	for _, d := range []string{upper, work} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mount("overlay", root, "overlay", 0, "lowerdir=/,upperdir="+upper+",workdir="+work)
	mount("proc", filepath.Join(root, "proc"), "proc", 0, "")
	if err := os.WriteFile(filepath.Join(root, "/dev/null"), nil, 0o666); err != nil { // /dev is not part of it
		t.Fatal(err)
	}
	return &machine{t, root}
}

// run runs a command on the machine and gives what it printed, and whether it ended with 0.
func (m *machine) run(command ...string) (string, bool) {
	m.Helper()
	ctx, cancel := context.WithTimeout(m.Context(), slack*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/usr/bin/env", command...) // which looks for it on the machine
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "HOME=/root"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: m.root}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.Fatalf("%q: %v", command, err)
	}
	return string(out), err == nil
}

// must is run for what has to work.
func (m *machine) must(command ...string) string {
	m.Helper()
	out, ok := m.run(command...)
	if !ok {
		m.Fatalf("%q failed:\n%s", command, out)
	}
	return out
}

func (m *machine) has(path string) bool {
	_, err := os.Lstat(filepath.Join(m.root, path))
	return err == nil
}

// bring copies a package onto the machine.
func (m *machine) bring(pattern string) (path string) {
	m.Helper()
	dir, err := buildPackages()
	if err != nil {
		m.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		m.Fatalf("%d packages are called %s, %v", len(found), pattern, err)
	}
	b, err := os.ReadFile(found[0])
	if err == nil {
		err = os.WriteFile(filepath.Join(m.root, "root", filepath.Base(found[0])), b, 0o644)
	}
	if err != nil {
		m.Fatal(err)
	}
	return "/root/" + filepath.Base(found[0])
}

// edit appends a line to a file of the machine.
func (m *machine) edit(path, line string) {
	m.Helper()
	f, err := os.OpenFile(filepath.Join(m.root, path), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		m.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.WriteString(line + "\n"); err != nil {
		m.Fatal(err)
	}
}

// files lists what a package may have to do with, apart from the books that the package
// manager keeps.
func (m *machine) files() (list []string) {
	m.Helper()
	for _, top := range []string{"etc", "usr", "var", "opt", "srv", "lib"} {
		err := filepath.WalkDir(filepath.Join(m.root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			name := strings.TrimPrefix(path, m.root)
			for _, books := range []string{"/var/lib/dpkg", "/var/lib/rpm", "/var/log", "/var/cache"} {
				if name == books {
					return fs.SkipDir
				}
			}
			if !strings.HasSuffix(name, "-") && !strings.HasSuffix(name, ".lock") { // copies that useradd makes of /etc/passwd
				list = append(list, name)
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			m.Fatal(err)
		}
	}
	slices.Sort(list)
	return list
}

const (
	packagedConfig = "/etc/stream-pump/stream-pump.yaml"
	packagedUnits  = "/usr/lib/systemd/system/"
)

// checkInstalled looks at a package that has just been installed: files, user, configuration, units and programs.
func (m *machine) checkInstalled() {
	m.Helper()
	for _, name := range []string{
		"/usr/bin/stream-pump", "/usr/bin/loadtest", packagedUnits + "stream-pump.service", packagedUnits + "stream-pump.socket",
		packagedUnits + "stream-pump-tls.socket", packagedUnits + "stream-pump-admin.socket", packagedConfig,
		"/usr/share/snmp/mibs/STREAM-PUMP-MIB.txt", "/usr/share/stream-pump/grafana/stream-pump.json", "/usr/share/stream-pump/grafana/pump-house.json",
	} {
		if !m.has(name) {
			m.Errorf("%s is missing", name)
		}
	}
	if out := m.must("stat", "-c", "%U:%G %a", packagedConfig); strings.TrimSpace(out) != "root:stream-pump 640" {
		m.Errorf("the configuration belongs to %s", out)
	}
	if out := m.must("getent", "passwd", "stream-pump"); !strings.Contains(out, "/usr/sbin/nologin") {
		m.Errorf("the user is %s", out)
	}
	if out := m.must("stream-pump", "version"); !strings.Contains(out, "stream-pump v1.2.3-4-gabcdef (commit 0123456789") {
		m.Errorf("the program says %s", out)
	}
	// As the user it runs as, it can read its configuration, which is right.
	m.must("setpriv", "--reuid", "stream-pump", "--regid", "stream-pump", "--init-groups", "stream-pump", "check", packagedConfig)
	house := m.has("/usr/bin/pump-house")
	if house {
		m.must("setpriv", "--reuid", "pump-house", "--regid", "pump-house", "--init-groups", "pump-house", "check", "/etc/pump-house/pump-house.yaml")
	}
	for _, program := range []string{"stream-pump", "loadtest", "pump-house"} {
		if program == "pump-house" && !house {
			continue
		}
		f, err := elf.Open(filepath.Join(m.root, "usr/bin", program))
		if err != nil {
			m.Fatal(err)
		}
		if libs, _ := f.ImportedLibraries(); len(libs) > 0 {
			m.Errorf("%s needs %q, and not every Linux has that", program, libs)
		}
		_ = f.Close()
	}
	units, _ := filepath.Glob(filepath.Join(m.root, packagedUnits, "stream-pump*"))
	if house {
		units = append(units, filepath.Join(m.root, packagedUnits, "pump-house.service"))
	}
	for i := range units {
		units[i] = strings.TrimPrefix(units[i], m.root)
	}
	if out, ok := m.run(append([]string{"systemd-analyze", "verify", "--man=no"}, units...)...); !ok || strings.Contains(out, "pump") {
		m.Errorf("systemd-analyze verify:\n%s", out)
	}
	for _, unit := range units {
		if filepath.Ext(unit) != ".service" {
			continue
		}
		if out, ok := m.run("systemd-analyze", "security", "--offline=true", "--threshold=15", unit); !ok {
			m.Errorf("systemd-analyze security:\n%s", out)
		}
	}
}

// checkRuns starts the installed program with its packaged configuration, as root and as systemd would: it serves, and
// is its own user.
func (m *machine) checkRuns(t *testing.T) {
	t.Helper()
	asUnit := []string{"/usr/bin/setpriv", "--reuid", "stream-pump", "--regid", "stream-pump", "--init-groups"}
	for name, under := range map[string][]string{
		"root": {"/usr/bin/env"},
		"the unit, with the right to ports below 1024": append(asUnit, "--inh-caps=-all,+net_bind_service", "--ambient-caps=-all,+net_bind_service"),
	} {
		args := append(under, "/usr/bin/stream-pump", "-log-format", "text", "run", packagedConfig)
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = "/"
		cmd.Env = []string{"PATH=/usr/bin:/bin", fmt.Sprintf("STREAM_PUMP_LISTEN=127.0.0.1:%d", freePort(t)), "STREAM_PUMP_ADMIN_LISTEN=off"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: m.root}
		p := start(t, "stream-pump by "+name, cmd)
		eventually(t, 20*time.Second, "it serves as its user when started by "+name, func() bool {
			return len(p.said(func(s string) bool {
				return strings.Contains(s, "running as") && strings.Contains(s, "user=stream-pump")
			})) > 0 &&
				len(p.said(func(s string) bool { return strings.Contains(s, "listening") })) > 0
		})
		if !p.stop(syscall.SIGTERM, 20*time.Second) {
			t.Errorf("started by %s, it has not ended after SIGTERM", name)
		}
	}
}

// The .deb installs, is upgraded with the operator's configuration kept, is removed but for that, and purged without a
// trace.
func TestDebianPackage(t *testing.T) {
	need(t, "dpkg", "dpkg-deb", "systemd-analyze", "setpriv")
	t.Parallel()
	m := newMachine(t)
	if m.has("/usr/bin/stream-pump") {
		t.Skip("a Stream Pump is installed on this machine")
	}
	before := m.files()
	first := m.bring("*.deb")
	m.must("dpkg", "-i", first)
	m.checkInstalled()
	m.checkRuns(t)

	// The next version has another configuration; the operator has one of his own.
	m.must("dpkg-deb", "-R", first, "/root/next")
	m.edit("/root/next"+packagedConfig, "# what the next version thinks")
	m.must("sed", "-i", "s/^Version:.*/Version: 1.3/", "/root/next/DEBIAN/control")
	m.must("dpkg-deb", "-Znone", "-b", "/root/next", "/root/next.deb") // packing takes long
	m.edit(packagedConfig, "# what the operator thinks")
	m.must("dpkg", "--force-confdef", "--force-confold", "-i", "/root/next.deb")
	if text := m.must("cat", packagedConfig); !strings.Contains(text, "the operator thinks") || strings.Contains(text, "next version") {
		t.Error("the upgrade has changed the operator's configuration")
	}
	m.checkInstalled()

	m.must("mkdir", "-p", "/var/lib/stream-pump")
	m.edit("/var/lib/stream-pump/state", "what the pump keeps")
	m.edit("/etc/stream-pump/environment", "STREAM_PUMP_PORT=80")
	m.must("dpkg", "-r", "stream-pump")
	left := withoutHouse(without(m.files(), before))
	if want := []string{"/etc/stream-pump", "/etc/stream-pump/environment", packagedConfig, packagedConfig + ".dpkg-dist",
		"/var/lib/stream-pump", "/var/lib/stream-pump/state"}; !slices.Equal(left, want) {
		t.Errorf("removed, it leaves %q, want %q", left, want)
	}
	m.must("dpkg", "-P", "stream-pump")
	if left := without(m.files(), before); len(left) > 0 {
		t.Errorf("purged, it leaves %q", left)
	}
	for _, name := range []string{"stream-pump", "pump-house"} {
		for _, database := range []string{"passwd", "group"} {
			if out, ok := m.run("getent", database, name); ok {
				t.Errorf("purged, it leaves %s", out)
			}
		}
	}
}

// The .rpm installs, keeps the operator's configuration, and is removed but for that.
func TestRPMPackage(t *testing.T) {
	need(t, "rpm", "systemd-analyze", "setpriv")
	t.Parallel()
	m := newMachine(t)
	if m.has("/usr/bin/stream-pump") {
		t.Skip("a Stream Pump is installed on this machine")
	}
	before := m.files()
	file := m.bring("*.rpm")
	// The books of rpm know nothing of this machine, where Debian has installed the shell that the scripts need.
	m.must("rpm", "--nodeps", "-i", file)
	m.checkInstalled()
	if out, ok := m.run("rpm", "--nodeps", "-V", "stream-pump"); !ok {
		t.Errorf("rpm finds differences:\n%s", out)
	}
	m.edit(packagedConfig, "# what the operator thinks")
	m.must("rpm", "--nodeps", "-U", "--replacepkgs", file)
	if text := m.must("cat", packagedConfig); !strings.Contains(text, "the operator thinks") {
		t.Error("the upgrade has changed the operator's configuration")
	}
	m.must("rpm", "--nodeps", "-e", "stream-pump")
	if left, want := without(m.files(), before), []string{"/etc/stream-pump", packagedConfig + ".rpmsave"}; !slices.Equal(left, want) {
		t.Errorf("removed, it leaves %q, want %q", left, want)
	}
}

// withoutHouse leaves the configuration of a house out, which stays as that of a pump does.
func withoutHouse(list []string) []string {
	return slices.DeleteFunc(list, func(s string) bool {
		return s == "/etc/pump-house" || s == "/etc/pump-house/pump-house.yaml"
	})
}

// without gives the entries of a sorted list that another one lacks.
func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool {
		_, found := slices.BinarySearch(other, s)
		return found
	})
}
