// Command stream-pump reflects live MMSH streams: one encoder in, thousands of viewers
// out. See stream-pump -h.
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
		Name: "stream-pump", What: "Stream Pump takes in one live MMSH stream and serves it to thousands of viewers.",
		Try: `Try it at once, then play mmsh://localhost:8086/streams/demo with VLC, ffplay or mpv:

  stream-pump demo`,
		Commands: []*cli.Command{
			demoCommand(), runCommand(), checkCommand(), diffCommand(), pushCommand(), probeCommand(), planCommand(), doctorCommand(),
			signCommand(), hashCommand(), cli.VersionCommand("stream-pump"),
		},
		Default: runCommand(), Out: os.Stdout, Err: os.Stderr, Version: version, Commit: commit,
	}
}
