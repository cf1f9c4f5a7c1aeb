// Package quiet keeps one line of the metrics library off standard error.
//
// On Linux systems without pressure figures, which is what most containers are, the
// library prints a line through package log while it is initialised, before any
// program has read its flags, and has no switch for it. A command must not print to
// standard error unasked, so this package passes on what package log is told except
// that line, from its own initialisation until [Restore].
//
// That it comes first follows from the language specification, "Program
// initialization": of the packages whose imports are initialised, the one that is
// first by import path is next. The library imports net/http, whose path sorts behind
// this one and which imports all this package does. Should that change, the line is
// back, nothing else.
package quiet

import (
	"bytes"
	"io"
	"log"
	"os"
)

// unasked is part of the line in question.
const unasked = "INFO: metrics: disable exposing PSI metrics"

// filter drops the line and passes everything else on. Package log calls Write once
// per line.
type filter struct{ to io.Writer }

func (f *filter) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(unasked)) {
		return len(p), nil
	}
	return f.to.Write(p)
}

var installed = &filter{to: os.Stderr}

func init() { log.SetOutput(installed) }

// Restore gives package log its standard output back, unless someone has set
// another one meanwhile.
func Restore() {
	if log.Writer() == io.Writer(installed) {
		log.SetOutput(installed.to)
	}
}
