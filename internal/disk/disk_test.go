package disk_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stream-pump/stream-pump/internal/disk"
)

// places makes one of everything that may have a file's name.
func places(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("file", "text")
	write("empty", "")
	for _, err := range []error{
		os.Mkdir(filepath.Join(dir, "folder"), 0o700), syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600),
		os.Symlink("loop", filepath.Join(dir, "loop")), os.Symlink("file", filepath.Join(dir, "link")), os.Symlink("nowhere", filepath.Join(dir, "dangling")),
		os.Symlink(os.DevNull, filepath.Join(dir, "device")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Whatever has a file's name, it is read or refused at once and by name: a pipe without a
// writer would be waited for for ever.
func TestWhatHasAFilesName(t *testing.T) {
	dir := places(t)
	for name, want := range map[string]struct{ read, open string }{
		"file":     {"text", ""},
		"link":     {"text", ""},
		"empty":    {"", ""},
		"pipe":     {"", "pipe is a pipe: no regular file"},
		"folder":   {"!folder is a folder: no regular file", "folder is a folder: no regular file"},
		"device":   {"!device is a device or socket: no regular file", "device is a device or socket: no regular file"},
		"loop":     {"!too many levels of symbolic links", "too many levels of symbolic links"},
		"dangling": {"!no such file or directory", "no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, name)
			text, err := disk.Read(path, 100)
			if refusal, refused := strings.CutPrefix(want.read, "!"); refused != (err != nil) || refused && !strings.HasSuffix(err.Error(), refusal) || !refused && string(text) != want.read {
				t.Errorf("read %q, %v; want %q", text, err, want.read)
			}
			f, err := disk.Open(path)
			if (want.open != "") != (err != nil) || err != nil && !strings.HasSuffix(err.Error(), want.open) {
				t.Errorf("opened: %v, want %q", err, want.open)
			}
			if err == nil {
				_ = f.Close()
			}
			if usable := disk.Usable(path); (usable == nil) != (err == nil) {
				t.Errorf("usable: %v, opened: %v", usable, err)
			}
			if strings.HasSuffix(want.open, "no regular file") && !errors.Is(err, disk.ErrNoFile) {
				t.Errorf("%v is no ErrNoFile", err)
			}
		})
	}
}

// What a shell's <(…) gives is read to its end.
func TestPipeThatSomebodyWritesTo(t *testing.T) {
	path := filepath.Join(places(t), "pipe")
	keep, err := os.OpenFile(path, os.O_RDWR, 0) // so that the writer need not come first
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keep.WriteString("through a pipe"); err != nil {
		t.Fatal(err)
	}
	read := make(chan string)
	go func() {
		text, err := disk.Read(path, 100)
		if err != nil {
			t.Error(err)
		}
		read <- string(text)
	}()
	for { // the reader has to be there before the other end goes: what nobody reads goes with it
		left, err := unread(keep)
		if err != nil {
			t.Fatal(err)
		}
		if left == 0 {
			break
		}
		runtime.Gosched()
	}
	_ = keep.Close()
	if text := <-read; text != "through a pipe" {
		t.Errorf("%q", text)
	}
}

// A file that is too long is seen to be, without reading all of it.
func TestLongFile(t *testing.T) {
	text, err := disk.Read(filepath.Join(places(t), "file"), 2)
	if err != nil || string(text) != "tex" {
		t.Errorf("%q, %v", text, err)
	}
}
