// Package porttest gives tests TCP ports that stay free until somebody listens there.
//
// A port of the system's choice, found by listening and closing again, can be gone a moment later: the system gives the
// same ones to outgoing connections. These ports lie below those, and each is kept for one test, in all test programs
// that run on the machine, until the test ends. A program that is killed and started again finds its port again.
package porttest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"testing"
)

// first and last lie below the range from which Linux takes the ports of outgoing connections.
const first, last = 12_000, 32_000

// firstOfRoot and lastOfRoot are below 1024, and above what is much used there.
const firstOfRoot, lastOfRoot = 700, 1024

// Free is a port, at every address of this machine, that nobody else has before the end of the test.
func Free(t testing.TB) int {
	t.Helper()
	return free(t, first, last)
}

// Roots is such a port that only root may listen at.
func Roots(t testing.TB) int {
	t.Helper()
	return free(t, firstOfRoot, lastOfRoot)
}

// free looks for a port from the first to the one before the last.
func free(t testing.TB, first, last int) int {
	t.Helper()
	for range 10 * (last - first) {
		port := first + rand.IntN(last-first)
		if !keep(t, port) {
			continue
		}
		if l, err := net.Listen("tcp", fmt.Sprintf(":%d", port)); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no TCP port is free")
	return 0
}

// keep holds a name that stands for the port, which the system lets only one process have and takes back when it ends.
func keep(t testing.TB, port int) bool {
	if runtime.GOOS != "linux" {
		return true // no such names; chance has to do
	}
	place, err := net.Listen("unix", fmt.Sprintf("@stream-pump-test-port-%d", port))
	if err != nil {
		return false
	}
	t.Cleanup(func() { _ = place.Close() })
	return true
}
