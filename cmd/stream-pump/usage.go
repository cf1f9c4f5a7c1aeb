package main

import (
	"flag"
	"fmt"
	"io"
)

// commands are all of them, in the order of the usage.
func commands() []*command {
	return []*command{
		demoCommand(), runCommand(), checkCommand(), diffCommand(), pushCommand(), probeCommand(), planCommand(), doctorCommand(),
		signCommand(), hashCommand(), versionCommand(),
	}
}

func (p *program) usage(w io.Writer) {
	fmt.Fprint(w, "Stream Pump takes in one live MMSH stream and serves it to thousands of viewers.\n\nUsage:\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-46s %s\n", join("stream-pump", c.name, c.args), c.what)
	}
	fmt.Fprintf(w, "  %-46s %s\n", "stream-pump FILE", "the same as run FILE")
	fmt.Fprint(w, `
Try it at once, then play mmsh://localhost:8086/streams/demo with VLC, ffplay or mpv:

  stream-pump demo

Every command tells more with -h. Logs go to standard error: -log-format auto|text|json,
-log-level debug|info|warn|error. Exit status: 0 fine, 1 failed while running, 2 wrong
usage or wrong configuration.
`)
}

func (p *program) commandUsage(w io.Writer, c *command, fs *flag.FlagSet) {
	fmt.Fprintf(w, "%s: %s\n\nUsage:\n\n  stream-pump %s\n\nExample:\n\n  %s\n\nFlags:\n\n",
		c.name, c.what, join(c.name, c.args), c.example)
	fs.SetOutput(w)
	fs.PrintDefaults()
}

// join puts blanks between words that are there.
func join(words ...string) string {
	s := ""
	for _, w := range words {
		if w == "" {
			continue
		}
		if s != "" {
			s += " "
		}
		s += w
	}
	return s
}
