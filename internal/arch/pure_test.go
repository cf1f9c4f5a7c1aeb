package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// pure are the packages that take bytes and return values: no network, no files, no clock, no log.
// mmsh may name the types of a request's headers and addresses.
var pure = map[string][]string{
	"asf":     nil,
	"ringbuf": nil,
	"mmsh":    {"net/http", "net/url", "net/textproto", "net/netip"},
}

func TestPurePackagesImportNoOutsideWorld(t *testing.T) {
	for _, p := range packages(t) {
		r, _ := rowOf(p.inside())
		allowed, isPure := pure[r.name]
		if !isPure {
			continue
		}
		for _, imp := range p.Imports {
			if outsideWorld(imp) && !slices.Contains(allowed, imp) {
				t.Errorf("%s imports %s", p.inside(), imp)
			}
		}
	}
}

func outsideWorld(imp string) bool {
	switch imp {
	case "net", "os", "log", "syscall":
		return true
	}
	for _, under := range []string{"net/", "os/", "log/", "golang.org/x/sys/unix"} {
		if strings.HasPrefix(imp, under) {
			return true
		}
	}
	return false
}

func TestPurePackagesKnowNoClock(t *testing.T) {
	for _, p := range packages(t) {
		r, _ := rowOf(p.inside())
		if _, isPure := pure[r.name]; !isPure {
			continue
		}
		for _, name := range p.GoFiles {
			for _, use := range clockUses(t, filepath.Join(p.Dir, name)) {
				t.Errorf("%s/%s", p.inside(), use)
			}
		}
	}
}

// clockUses finds calls of package time that read the clock or wait for it. Types such as
// time.Duration are values like others.
func clockUses(t *testing.T, path string) []string {
	t.Helper()
	clock := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var uses []string
	ast.Inspect(file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "time" && slices.Contains(clock, sel.Sel.Name) {
			at := files.Position(sel.Pos())
			at.Filename = filepath.Base(at.Filename)
			uses = append(uses, at.String()+": time."+sel.Sel.Name)
		}
		return true
	})
	return uses
}
