package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite what testdata/problems.txtar expects; read the difference before you keep it")

// Each wrong configuration in testdata/problems.txtar is a file NAME.yaml or NAME.js,
// perhaps with NAME.env, one variable a line, followed by NAME.want: what is printed.
func TestProblems(t *testing.T) {
	specify(t, "testdata/problems.txtar", 40, func(name string, data []byte, env []string) error {
		_, err := Parse(name, data, env)
		return err
	})
}

// specify holds the cases of an archive against what parse says.
func specify(t *testing.T, file string, least int, parse func(name string, data []byte, env []string) error) {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var input txtar.File
	var env []string
	cases := 0
	for i, f := range archive.Files {
		name := strings.TrimSuffix(f.Name, filepath.Ext(f.Name))
		switch filepath.Ext(f.Name) {
		case ".env":
			env = strings.Fields(string(f.Data))
		case ".want":
			cases++
			t.Run(name, func(t *testing.T) {
				got := "no problem"
				if err := parse(input.Name, input.Data, env); err != nil {
					got = err.Error()
				}
				if *update {
					archive.Files[i].Data = []byte(got + "\n")
				} else if want := strings.TrimSuffix(string(f.Data), "\n"); got != want {
					t.Errorf("%s\ngot:\n%s\nwant:\n%s", input.Data, got, want)
				}
			})
		default:
			input, env = f, nil
		}
	}
	if cases < least {
		t.Errorf("%d wrong files, want at least %d", cases, least)
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
