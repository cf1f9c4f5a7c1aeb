package quiet

import (
	"bytes"
	"io"
	"log"
	"os"
	"testing"
)

func TestFilterDropsOneLineOnly(t *testing.T) {
	var out bytes.Buffer
	l := log.New(&filter{to: &out}, "", 0)
	l.Print("before")
	l.Printf("%s because of failed init: open cpu.pressure: no such file or directory", unasked)
	l.Print("INFO: metrics: something else")
	if got, want := out.String(), "before\nINFO: metrics: something else\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRestore(t *testing.T) {
	if log.Writer() != io.Writer(installed) {
		t.Fatal("package log does not write through the filter")
	}
	Restore()
	if log.Writer() != io.Writer(os.Stderr) {
		t.Error("standard error is not back")
	}
	log.SetOutput(io.Discard)
	defer log.SetOutput(os.Stderr)
	Restore()
	if log.Writer() != io.Discard {
		t.Error("another output was replaced")
	}
}
