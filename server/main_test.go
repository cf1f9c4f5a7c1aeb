package server

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the run when a goroutine is left behind.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) // gnet's packages start a pool of their own
}
