package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// secretish are names of what must not be compared by ==, bytes.Equal and their like, which end sooner the sooner two
// texts differ.
var secretish = regexp.MustCompile(`(?i)^(want)?(password|passwd|secret|token|signature|mac|ha1|response|nonce|sum)s?$`)

// Secrets are compared in constant time, which in Go means crypto/subtle, crypto/hmac, or digests of them. Whether one
// is there at all may be asked.
func TestSecretsAreComparedInConstantTime(t *testing.T) {
	for _, p := range packages(t) {
		switch r, _ := rowOf(p.inside()); {
		case strings.HasPrefix(r.name, "house"), strings.HasPrefix(r.name, "access"):
		case r.name == "server", r.name == "ingest", r.name == "pump", r.name == "fleet", r.name == "internal/passhash":
		default:
			continue
		}
		for _, name := range p.GoFiles {
			for _, at := range hastyComparisons(t, filepath.Join(p.Dir, name)) {
				t.Errorf("%s/%s", p.inside(), at)
			}
		}
	}
}

func TestHastyComparisonsAreFound(t *testing.T) {
	for statement, found := range map[string]int{
		"_ = password == given": 1, "_ = u.Secret != x": 1, "_ = string(sig) == s || given == c.token": 1, "_ = bytes.Equal(x, n.mac(b))": 1,
		"_ = bytes.Equal(mac, x)": 1, "_ = bytes.Equal(x, mac[16:])": 1, `_ = strings.EqualFold(given, want.Response)`: 1,
		"_ = string(x) == string(k.mac(a, b))": 1, "_ = x == sha256.Sum(b)": 1, "_ = x == f(b)": 0, `_ = password == ""`: 0, "_ = token == nil": 0, "_ = len(mac) != size": 0, "_ = hmac.Equal(mac, x)": 0, "_ = path == other": 0,
	} {
		path := filepath.Join(t.TempDir(), "x.go")
		if err := os.WriteFile(path, []byte("package x\nfunc f() {\n"+statement+"\n}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := hastyComparisons(t, path); len(got) != found {
			t.Errorf("%s: %q", statement, got)
		}
	}
}

func hastyComparisons(t *testing.T, path string) (found []string) {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	note := func(n ast.Node, how string, operands ...ast.Expr) {
		for _, o := range operands {
			if !secretish.MatchString(lastName(o)) {
				continue
			}
			at := files.Position(n.Pos())
			at.Filename = filepath.Base(at.Filename)
			found = append(found, at.String()+": "+lastName(o)+" is compared by "+how)
			return
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.BinaryExpr:
			if (x.Op == token.EQL || x.Op == token.NEQ) && !isConstant(x.X) && !isConstant(x.Y) {
				note(x, x.Op.String(), x.X, x.Y)
			}
		case *ast.CallExpr:
			if how := called(x); hasty[how] {
				note(x, how, x.Args...)
			}
		}
		return true
	})
	return found
}

// hasty are functions that stop where two texts differ.
var hasty = map[string]bool{
	"bytes.Equal": true, "bytes.EqualFold": true, "bytes.Compare": true, "slices.Equal": true, "slices.Compare": true,
	"strings.EqualFold": true, "strings.Compare": true,
}

// called is the function of a package that is called, "" for anything else.
func called(call *ast.CallExpr) string {
	if sel, ok := call.Fun.(*ast.SelectorExpr); ok {
		if pkg, ok := sel.X.(*ast.Ident); ok {
			return pkg.Name + "." + sel.Sel.Name
		}
	}
	return ""
}

// isConstant tells what gives nothing away: a literal, nil, true or false.
func isConstant(e ast.Expr) bool {
	switch x := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.Ident:
		return x.Name == "nil" || x.Name == "true" || x.Name == "false"
	}
	return false
}

// lastName is the name that stands for an operand: the field of a selector, the variable, or what is converted, sliced
// or asked of it.
func lastName(e ast.Expr) string {
	switch x := e.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.SelectorExpr:
		return x.Sel.Name
	case *ast.SliceExpr:
		return lastName(x.X)
	case *ast.CallExpr:
		if name := lastName(x.Fun); secretish.MatchString(name) {
			return name // what makes one
		}
		if f, ok := x.Fun.(*ast.Ident); len(x.Args) == 1 && !(ok && f.Name == "len") {
			return lastName(x.Args[0])
		}
	case *ast.ParenExpr:
		return lastName(x.X)
	}
	return ""
}
