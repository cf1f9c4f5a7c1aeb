package e2e

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Something else stands in the place of the configuration, and of a film: each reload says by name what it is, the next
// one works, who watches notices nothing, and the program still ends when it is told to.
func TestConfigurationIsReplaced(t *testing.T) {
	if testing.Short() {
		t.Skip("runs programs; left out with -short")
	}
	const config = "streams:\n  - {name: Card, type: test_card, path: card}"
	pump := Pump(t, config)
	pump.WaitState(t, "card", "live", 20*time.Second)
	end := onlooker(t, pump, "card")
	pump.waitViewers(t, "card", 1)

	told := func(what string) bool {
		return len(pump.proc.said(func(s string) bool { return strings.Contains(s, what) })) > 0
	}
	for _, c := range []struct {
		what, told string
		put        func(path string) error
	}{
		{"a folder", "is a folder", func(path string) error { return os.Mkdir(path, 0o700) }},
		{"a link to itself", "too many levels of symbolic links", func(path string) error { return os.Symlink(path, path) }},
		{"a pipe that nobody writes to", "the file is empty", func(path string) error { return syscall.Mkfifo(path, 0o600) }},
		{"a device without an end", "is a device", func(path string) error { return os.Symlink("/dev/zero", path) }},
		{"nothing", "is gone, and what is in force stays", func(string) error { return nil }},
	} {
		if err := os.Remove(pump.Config); err != nil {
			t.Fatal(err)
		}
		if err := c.put(pump.Config); err != nil {
			t.Fatal(err)
		}
		pump.Reload(t)
		eventually(t, 30*time.Second, "the log tells of "+c.what, func() bool { return told(c.told) })
		if c.what == "nothing" {
			break
		}
	}
	film := t.TempDir() + "/pipe.asf"
	if err := syscall.Mkfifo(film, 0o600); err != nil {
		t.Fatal(err)
	}
	pump.Rewrite(t, config+"\n  - {name: Film, type: file_loop, path: film, file: "+film+"}")
	pump.Reload(t)
	eventually(t, 30*time.Second, "the log tells of the film", func() bool { return told("pipe.asf") })
	pump.Rewrite(t, config+"\n  - {name: Another, type: test_card, path: another}")
	pump.Reload(t)
	pump.WaitState(t, "another", "live", 30*time.Second)
	pump.waitPackets(t, "card", 20)
	checkUnbroken(t, end())
	pump.Stop(t)
}
