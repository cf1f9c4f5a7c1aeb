package main

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stream-pump/stream-pump/internal/cli"
)

// Every call of the program on the pages is one that it understands: the command is there, and so are its flags.
func TestCallsOnThePages(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	byName := map[string]*cli.Command{}
	for _, c := range program().Commands {
		byName[c.Name] = c
	}
	// In code, or at the beginning of a line of code.
	call := regexp.MustCompile("(?m)(?:`|^    (?:\\$ |sudo )?)stream-pump ([a-z]+)((?: +[^\n`|;#]*)?)")
	found := 0
	for _, name := range append(pages, "../../README.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range call.FindAllStringSubmatch(string(text), -1) {
			found++
			c := byName[m[1]]
			if c == nil {
				t.Errorf("%s: %q: there is no such command", name, m[0])
				continue
			}
			fs := flag.NewFlagSet(c.Name, flag.ContinueOnError)
			for _, all := range []string{"log-format", "log-level", "h"} {
				fs.String(all, "", "of every command")
			}
			if c.Flags != nil {
				c.Flags(fs)
			}
			checkFlags(t, name, m[0], m[2], fs)
		}
	}
	if found < 20 {
		t.Errorf("only %d calls are on the pages; are they still recognised?", found)
	}
}

// checkFlags looks at what stands behind a command, up to what explains it.
func checkFlags(t *testing.T, page, whole, args string, fs *flag.FlagSet) {
	t.Helper()
	args, _, _ = strings.Cut(strings.TrimSpace(args), "   ")
	for _, word := range strings.Fields(args) {
		word = strings.Trim(word, "[],…")
		if len(word) < 2 || word[0] != '-' {
			continue
		}
		flagName, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
		if fs.Lookup(flagName) == nil {
			t.Errorf("%s: %q: there is no flag -%s", page, whole, flagName)
		}
	}
}
