//go:build !unix

package store

import "errors"

// freeBytes is not known here: a full disk is found when it is met.
func freeBytes(string) (int64, error) { return 0, errors.ErrUnsupported }

// syncDir has nothing to do: the system keeps the names in its folders itself.
func syncDir(string) error { return nil }
