//go:build !unix

package store

import (
	"fmt"
	"os"
	"path/filepath"
)

// lockFolder opens the lock and trusts that nobody else does.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the folder of the store: %w", err)
	}
	return f, nil
}
