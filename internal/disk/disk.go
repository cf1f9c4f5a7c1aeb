package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// Patience is how long Read waits for what comes through a pipe.
const Patience = 10 * time.Second

// ErrNoFile is the cause of errors about what is neither a file nor, for Read, a pipe.
var ErrNoFile = errors.New("no regular file")

// Open opens a regular file for reading. Whatever else has the name is refused with an
// ErrNoFile that names it: opening a pipe would wait for its other end.
func Open(name string) (*os.File, error) {
	f, info, err := open(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		_ = f.Close()
		return nil, notAFile(name, info.Mode())
	}
	return f, nil
}

// Read returns what a regular file holds, or what comes through a pipe until its other end
// is closed, as a shell makes one for <(…). Of a file of more than most bytes it returns one
// byte more than that, so that the caller sees that it is too long. Any number of goroutines
// may read.
func Read(name string, most int64) ([]byte, error) {
	f, info, err := open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	switch m := info.Mode(); {
	case m.IsRegular():
	case m&fs.ModeNamedPipe != 0:
		if err := f.SetReadDeadline(time.Now().Add(Patience)); err != nil {
			return nil, notAFile(name, m)
		}
	default:
		return nil, notAFile(name, m)
	}
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, fmt.Errorf("%s is a pipe whose end did not come within %v: %w", name, Patience, err)
	}
	return text, err
}

// Usable returns why a name is no regular file, nil when it is one. It opens nothing.
func Usable(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return notAFile(name, info.Mode())
	}
	return nil
}

// open opens without waiting for anybody at the other end.
func open(name string) (*os.File, fs.FileInfo, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

func notAFile(name string, m fs.FileMode) error {
	what := "a device or socket"
	switch {
	case m.IsDir():
		what = "a folder"
	case m&fs.ModeNamedPipe != 0:
		what = "a pipe"
	}
	return fmt.Errorf("%s is %s: %w", name, what, ErrNoFile)
}
