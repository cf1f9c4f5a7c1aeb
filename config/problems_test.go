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
	const file = "testdata/problems.txtar"
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
				if _, err := Parse(input.Name, input.Data, env); err != nil {
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
	if cases < 40 {
		t.Errorf("%d wrong configurations, want at least 40", cases)
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
