package store

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// syncer sees that what is in the files of a folder is on the disk. Of those who ask at the
// same time all are served by one turn: a hundred changes that come together cost hardly more
// than one.
type syncer struct {
	sync func() error // what a turn does

	mu      sync.Mutex
	next    *turn // that has not begun; nil: nobody waits
	running bool
}

type turn struct {
	done chan struct{}
	err  error
}

// flush returns when everything that was written before the call is on the disk.
func (s *syncer) flush() error {
	s.mu.Lock()
	t := s.next
	if t == nil {
		t = &turn{done: make(chan struct{})}
		s.next = t
	}
	if !s.running {
		s.running = true
		go s.run()
	}
	s.mu.Unlock()
	<-t.done
	return t.err
}

// run does turns until nobody waits.
func (s *syncer) run() {
	for {
		s.mu.Lock()
		t := s.next
		s.next = nil
		if t == nil {
			s.running = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		t.err = s.sync()
		close(t.done)
	}
}

// files syncs the files below a folder that have changed since they were synced, and the folders
// they are in.
type files struct {
	dir  string
	seen map[string]stamp // as they were before they were synced
}

type stamp struct {
	size, changed int64
}

// grain is how fine the times of files are, and more: what has changed within it may change again
// and look the same.
const grain = time.Second

func (f *files) sync() error {
	if f.seen == nil {
		f.seen = map[string]stamp{}
	}
	there := make(map[string]stamp, len(f.seen))
	err := filepath.WalkDir(f.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return gone(err)
		}
		info, err := d.Info()
		if err != nil {
			return gone(err)
		}
		now := stamp{info.Size(), info.ModTime().UnixNano()}
		if old, known := f.seen[name]; !known || old != now {
			if err := gone(syncEntry(name, d.IsDir())); err != nil {
				return err
			}
		}
		if time.Since(info.ModTime()) > grain {
			there[name] = now
		}
		return nil
	})
	if err != nil {
		f.seen = nil // what is on the disk is not known any more
		return fmt.Errorf("%w: writing the store to the disk: %w", ErrUnavailable, err)
	}
	f.seen = there
	return nil
}

// gone lets files be that have been replaced meanwhile: what takes their place is synced by the
// server before it does.
func gone(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

func syncEntry(name string, isDir bool) error {
	if isDir {
		return syncDir(name)
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return syncClose(f)
}

func syncClose(f *os.File) error {
	err := f.Sync()
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}
