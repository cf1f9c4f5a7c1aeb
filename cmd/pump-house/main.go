// Command pump-house steers a fleet of pumps. See pump-house -h.
package main

import (
	"os"

	"github.com/stream-pump/stream-pump/internal/cli"
)

// Set by the linker.
var (
	version = ""
	commit  = ""
)

func main() { program().Exit() }

func program() *cli.Program {
	return &cli.Program{
		Name: "pump-house", What: "Pump House keeps a fleet of pumps, and sends every viewer to the right one.",
		Try: `Begin with an empty fleet and the defaults, then read docs/fleet.md:

  echo 'streams: []' > pump-house.yaml
  pump-house run pump-house.yaml`,
		Commands: []*cli.Command{runCommand(), checkCommand(), planCommand(), rosterCommand(), inviteCommand(), authorityCommand(), simulateCommand(), cli.VersionCommand("pump-house")},
		Default:  runCommand(), Out: os.Stdout, Err: os.Stderr, Version: version, Commit: commit,
	}
}
