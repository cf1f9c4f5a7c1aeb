// Command loadtest puts thousands of synthetic viewers on an MMSH server and says how it did.
package main

import (
	"os"

	"github.com/stream-pump/stream-pump/loadtest"
)

// Set by the linker.
var version, commit string

func main() {
	os.Exit(loadtest.Main(os.Args[1:], os.Stdout, os.Stderr, loadtest.Build{Version: version, Commit: commit}))
}
