package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Whatever has taken the configuration's place when it is read again is told with its name and what would be right, and
// nothing waits for it.
func TestReloadOfAFileThatIsGone(t *testing.T) {
	for name, c := range map[string]struct {
		replace func(path string) error
		want    string
	}{
		"nothing":                      {func(string) error { return nil }, "the configuration file FILE is gone, and what is in force stays (put it back and reload again; a restart would fail)"},
		"a folder":                     {func(path string) error { return os.Mkdir(path, 0o700) }, "FILE is a folder: no regular file"},
		"a pipe that nobody writes to": {func(path string) error { return syscall.Mkfifo(path, 0o600) }, "FILE:1:1: the file is empty"},
		"a device":                     {func(path string) error { return os.Symlink("/dev/zero", path) }, "FILE is a device or socket: no regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "pump.yaml")
			if err := os.WriteFile(file, []byte("streams: []\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := reloadFile(file); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.Remove(file), c.replace(file)); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { _, err := reloadFile(file); done <- err }()
			select {
			case err := <-done:
				if err == nil || !strings.Contains(err.Error(), strings.ReplaceAll(c.want, "FILE", file)) {
					t.Errorf("%v, want %s", err, c.want)
				}
			case <-time.After(time.Minute):
				t.Error("it waits for what never comes")
			}
		})
	}
}
