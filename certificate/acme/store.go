package acme

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"syscall"

	"github.com/caddyserver/certmagic"
)

// store is the library's folder, which says what is wrong with it in words an operator can act on, and leaves no lock
// behind. The next program, or the one that has taken over meanwhile, would have to wait for it.
type store struct {
	certmagic.FileStorage
	wrote func(error) // told what became of every file

	mu    sync.Mutex
	locks map[string]bool // that are ours
}

func newStore(folder string, wrote func(error)) *store {
	return &store{FileStorage: certmagic.FileStorage{Path: folder}, wrote: wrote, locks: map[string]bool{}}
}

// Store implements certmagic.Storage.
func (s *store) Store(ctx context.Context, key string, value []byte) error {
	err := explainDisk(s.Path, s.FileStorage.Store(ctx, key, value))
	s.wrote(err)
	return err
}

// Lock implements certmagic.Locker.
func (s *store) Lock(ctx context.Context, name string) error {
	if err := s.FileStorage.Lock(ctx, name); err != nil {
		if ctx.Err() == nil {
			err = explainDisk(s.Path, err)
			s.wrote(err)
		}
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.locks[name] = true
	return nil
}

// Unlock implements certmagic.Locker. A lock that is not ours any more may be another's.
func (s *store) Unlock(ctx context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.locks[name] {
		return nil
	}
	delete(s.locks, name)
	return s.FileStorage.Unlock(ctx, name)
}

// release removes the locks of attempts that have not noticed yet that the program ends.
func (s *store) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.locks {
		_ = s.FileStorage.Unlock(context.Background(), name)
	}
	clear(s.locks)
}

// explainDisk says of a folder that cannot be written what would be right.
func explainDisk(folder string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("acme.folder %s: %w (there is no room left; make some, or name another folder)", folder, err)
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS):
		return fmt.Errorf("acme.folder %s: %w (let the user who runs the program write there, or name another folder)", folder, err)
	}
	return fmt.Errorf("acme.folder %s: %w", folder, err)
}

// wrote keeps whether the folder can be written.
func (m *Manager) wrote(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		m.disk = ""
		return
	}
	m.disk = err.Error()
	m.failures.Add(1)
}
