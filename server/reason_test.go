package server

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The set of reasons is closed: every constant is in the list, and nobody makes one up.
func TestReasonsAreClosed(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var constants []Reason
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		files := token.NewFileSet()
		f, err := parser.ParseFile(files, e.Name(), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				if id, ok := n.Type.(*ast.Ident); ok && id.Name == "Reason" && len(n.Values) == 1 {
					text, _ := strconv.Unquote(n.Values[0].(*ast.BasicLit).Value)
					constants = append(constants, Reason(text))
				}
			case *ast.CallExpr:
				if id, ok := n.Fun.(*ast.Ident); ok && id.Name == "Reason" {
					t.Errorf("%s: a reason is made of something else", files.Position(n.Pos()))
				}
			}
			return true
		})
	}
	if list := Reasons(); !slices.Equal(constants, list) {
		t.Errorf("the constants are %q, the list is %q", constants, list)
	}
}
