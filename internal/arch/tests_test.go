package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pagesOfProof are the pages that say which test proves what they say.
var pagesOfProof = []string{"docs/security.md", "docs/faults.md"}

// proof is a test in a page: `TestX` or `FuzzX`, behind its package where that is not clear
// from the page.
var proof = regexp.MustCompile("`((?:Test|Fuzz)[A-Z][A-Za-z0-9_]*)`")

// proofs are the tests of one package, whose name stands in front of them.
var proofs = regexp.MustCompile("([a-z0-9-]+) ((?:`(?:Test|Fuzz)[A-Z][A-Za-z0-9_]*`,?\\s*)+)")

// A page that names a test which is not there, or not where it says, promises what nobody
// looks at.
func TestPagesNameTestsThatExist(t *testing.T) {
	there := testNames(t)
	for _, page := range pagesOfProof {
		text, err := os.ReadFile(filepath.Join(root(t), page))
		if err != nil {
			t.Fatal(err)
		}
		named := proof.FindAllStringSubmatch(string(text), -1)
		if len(named) < 10 {
			t.Errorf("%s names %d tests", page, len(named))
		}
		for _, m := range named {
			if there[m[1]] == nil {
				t.Errorf("%s names %s, which is no test", page, m[1])
			}
		}
		for _, run := range proofs.FindAllStringSubmatch(string(text), -1) {
			for _, m := range proof.FindAllStringSubmatch(run[2], -1) {
				if in := there[m[1]]; in != nil && !slices.Contains(in, run[1]) {
					t.Errorf("%s looks for %s in %s; it is in %s", page, m[1], run[1], strings.Join(in, ", "))
				}
			}
		}
	}
}

// What is fuzzed is told, and so what is not.
func TestSecurityPageNamesEveryFuzzTarget(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root(t), "docs/security.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name, in := range testNames(t) {
		if strings.HasPrefix(name, "Fuzz") && !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("docs/security.md does not name %s of %s", name, strings.Join(in, ", "))
		}
	}
}

// Every row of a table in these pages that says what is met ends with its proof.
func TestRowsOfProofNameATest(t *testing.T) {
	for _, page := range pagesOfProof {
		text, err := os.ReadFile(filepath.Join(root(t), page))
		if err != nil {
			t.Fatal(err)
		}
		inTable := false
		for line := range strings.Lines(string(text)) {
			cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
			last := strings.TrimSpace(cells[len(cells)-1])
			switch {
			case !strings.HasPrefix(line, "|"):
				inTable = false
			case last == "test":
				inTable = true
			case inTable && !strings.HasPrefix(last, "--") && !proof.MatchString(last):
				t.Errorf("%s: no test in: %s", page, strings.TrimSpace(line))
			}
		}
	}
}

// testNames are the names of all test functions of the module, with the folders that have
// one.
func testNames(t *testing.T) map[string][]string {
	t.Helper()
	names := map[string][]string{}
	err := filepath.WalkDir(root(t), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
				names[f.Name.Name] = append(names[f.Name.Name], filepath.Base(filepath.Dir(path)))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
