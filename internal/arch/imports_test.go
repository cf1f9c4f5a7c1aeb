package arch

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/stream-pump/stream-pump"

// goPackage is the part of `go list -json` that matters here.
type goPackage struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string // of the files that are no tests
}

// inside gives the path within the module, "" for the root package.
func (p goPackage) inside() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Dir,GoFiles,Imports", "./...")
	cmd.Dir = root(t)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestTableIsInOrder(t *testing.T) {
	for _, r := range table {
		if r.imports == anything {
			continue
		}
		for _, name := range strings.Fields(r.imports) {
			below, ok := rowOf(name)
			switch {
			case !ok || below.name != name:
				t.Errorf("%s may import %s, which has no row", r.name, name)
			case below.tier >= r.tier || below.tier == beside:
				t.Errorf("%s (tier %d) may import %s (tier %d): arrows point down only", r.name, r.tier, name, below.tier)
			}
		}
	}
}

func TestNoPackageIsMissingFromTheTable(t *testing.T) {
	for _, p := range packages(t) {
		if _, ok := rowOf(p.inside()); !ok {
			t.Errorf("package %q is in no row of the table", p.inside())
		}
	}
}

func TestImportsFollowTheTable(t *testing.T) {
	for _, p := range packages(t) {
		from, ok := rowOf(p.inside())
		if !ok {
			continue
		}
		for _, imp := range p.Imports {
			if imp != module && !strings.HasPrefix(imp, module+"/") {
				continue
			}
			to, ok := rowOf(strings.TrimPrefix(imp, module+"/"))
			if !ok || (to.name != from.name && !from.allows(to.name)) {
				t.Errorf("%s imports %s; the table allows %s: %q", p.inside(), imp, from.name, from.imports)
			}
		}
	}
}

// The event loop library stays behind one door, so that it can be exchanged.
func TestOnlyServerKnowsTheEventLoopLibrary(t *testing.T) {
	for _, p := range packages(t) {
		r, _ := rowOf(p.inside())
		if r.name == "server" || r.name == "bench" {
			continue
		}
		for _, imp := range p.Imports {
			if strings.HasPrefix(imp, "github.com/panjf2000/gnet/") {
				t.Errorf("%s imports %s", p.inside(), imp)
			}
		}
	}
}

// Why a module is there is written down, for each one.
func TestEveryDirectDependencyIsExplained(t *testing.T) {
	mod, err := os.ReadFile(filepath.Join(root(t), "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root(t), "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mod)) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "require ")
		fields := strings.Fields(line)
		if len(fields) < 2 || !strings.HasPrefix(fields[1], "v") || slices.Contains(fields, "indirect") {
			continue
		}
		if !strings.Contains(string(page), "`"+fields[0]+"`") {
			t.Errorf("docs/dependencies.md does not say why %s is needed", fields[0])
		}
	}
}

// The page and the table say the same, letter by letter.
func TestDocumentationShowsTheTable(t *testing.T) {
	const begin, end = "<!-- imports -->", "<!-- /imports -->"
	page, err := os.ReadFile(filepath.Join(root(t), "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(string(page), begin)
	block, _, closed := strings.Cut(block, end)
	if !found || !closed {
		t.Fatalf("docs/architecture.md has no block between %s and %s", begin, end)
	}
	if got, want := plain(block), plain(render()); got != want {
		t.Errorf("docs/architecture.md shows another table; it should be\n\n%s\n```text\n%s```\n%s\n\nit is\n\n%s", begin, render(), end, got)
	}
}

// plain leaves out what only the page's layout needs: fences, indentation, empty lines.
func plain(block string) string {
	var lines []string
	for line := range strings.Lines(block) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "```") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}
