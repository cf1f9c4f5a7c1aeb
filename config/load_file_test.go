package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stream-pump/stream-pump/internal/disk"
)

// What stands in the configuration's place and is no file is refused at once and by name,
// and so is what it names as a file: a reload must not wait for a pipe.
func TestWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.Mkdir(at("folder"), 0o700), os.Symlink("circle", at("circle")), syscall.Mkfifo(at("pipe"), 0o600), os.Symlink(os.DevNull, at("device")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"folder": "folder is a folder: no regular file",
		"circle": "too many levels of symbolic links",
		"device": "device is a device or socket: no regular file",
		"pipe":   "pipe:1:1: the file is empty (at least a list of streams)",
	} {
		if _, err := Load(at(name), nil); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
		if _, err := LoadHouse(at(name), nil); err == nil {
			t.Errorf("%s passes for a house's", name)
		}
		text := "streams: [{type: file_loop, path: a, file: " + name + "}]"
		var problems Problems
		_, err := LoadText(at("pump.yaml"), []byte(text), nil)
		if !errors.As(err, &problems) || !strings.Contains(err.Error(), "cannot be used (a file that exists") {
			t.Errorf("a film that is a %s: %v", name, err)
		}
	}
	if _, err := Load(at("folder"), nil); !errors.Is(err, disk.ErrNoFile) {
		t.Errorf("%v is no ErrNoFile", err)
	}
}
