package pump

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what is generated into docs/api.md")

// The page of the API is made from the table that serves it, and from the comments of the types that it answers with:
// go test ./pump -run TestAPIPage -update
func TestAPIPage(t *testing.T) {
	name := filepath.Join("..", "docs", "api.md")
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- api -->\n", "<!-- /api -->"
	before, rest, found := strings.Cut(string(raw), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no block between %s and %s", name, begin, end)
	}
	want := before + begin + renderAPI(t) + end + after
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(raw) != want {
		t.Errorf("%s is not what the program answers; go test ./pump -run TestAPIPage -update writes it anew", name)
	}
}

// Every code of an error that the API can answer is on its page, and no other.
func TestAPIErrorCodes(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "api.md"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, re := range []string{`writeError\([^"\n]*"([a-z_]+)"`, `APIError\{(?:Code: )?"([a-z_]+)"`} {
			for _, m := range regexp.MustCompile(re).FindAllStringSubmatch(string(text), -1) {
				codes[m[1]] = true
			}
		}
	}
	_, table, _ := strings.Cut(string(page), "\n## Errors\n")
	table, _, _ = strings.Cut(table, "\n## ")
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(table, -1) {
		if !codes[m[1]] {
			t.Errorf("%s is on the page and is never answered", m[1])
		}
		delete(codes, m[1])
	}
	if len(codes) > 0 {
		t.Errorf("not on the page: %q", slices.Sorted(maps.Keys(codes)))
	}
}

// renderAPI writes the addresses and the types as the page has them.
func renderAPI(t *testing.T) string {
	var b strings.Builder
	types := apiTypes{seen: map[string]reflect.Type{}}
	routes := (&admin{pump: &Pump{}}).routes()
	fmt.Fprint(&b, "\n## Addresses\n")
	for _, path := range slices.Sorted(maps.Keys(routes)) {
		for _, method := range slices.Sorted(maps.Keys(routes[path])) {
			op := routes[path][method]
			fmt.Fprintf(&b, "\n### `%s %s`\n\n%s\n", method, path, op.summary)
			if op.body != "" {
				fmt.Fprintf(&b, "Sent along: %s.\n", op.body)
			}
			fmt.Fprint(&b, "\n| | |\n|---|---|\n")
			for _, q := range op.query {
				fmt.Fprintf(&b, "| `?%s=` | %s |\n", q.name, q.text)
			}
			status := op.status
			if status == 0 {
				status = http.StatusOK
			}
			fmt.Fprintf(&b, "| %d | %s |\n", status, types.name(op.answer))
			for _, code := range slices.Sorted(maps.Keys(op.errors)) {
				fmt.Fprintf(&b, "| %d | %s |\n", code, op.errors[code])
			}
		}
	}
	types.of(reflect.TypeFor[APIError]())
	fmt.Fprint(&b, "\n## Objects\n")
	for _, name := range slices.Sorted(maps.Keys(types.seen)) {
		b.WriteString(types.describe(t, types.seen[name]))
	}
	return b.String()
}

// apiTypes collects the structs that answers are made of, by name.
type apiTypes struct{ seen map[string]reflect.Type }

func (a *apiTypes) name(answer any) string {
	if answer == nil {
		return "nothing"
	}
	return a.of(reflect.TypeOf(answer))
}

// of names a type, as a link where the page has it.
func (a *apiTypes) of(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		return "list of " + a.of(t.Elem())
	case reflect.Map:
		if t.Elem().Kind() == reflect.Interface {
			return "object"
		}
		return "object of " + a.of(t.Elem())
	case reflect.Pointer:
		return a.of(t.Elem())
	case reflect.Struct:
		if _, known := a.seen[t.Name()]; !known {
			a.seen[t.Name()] = t
			for i := range t.NumField() {
				a.of(t.Field(i).Type)
			}
		}
		return fmt.Sprintf("[%s](#%s)", t.Name(), strings.ToLower(t.Name()))
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float64:
		return "number"
	}
	return "whole number"
}

func (a *apiTypes) describe(t *testing.T, typ reflect.Type) string {
	t.Helper()
	says := comments(t, typ)
	var b strings.Builder
	fmt.Fprintf(&b, "\n### %s\n\n| field | | |\n|---|---|---|\n", typ.Name())
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		text := strings.ReplaceAll(says[f.Name], "|", "\\|")
		if options != "" {
			text = strings.TrimPrefix(text+"; may be missing", "; ")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, a.of(f.Type), text)
	}
	return b.String()
}

// comments reads what the source says of the fields of a type of ours.
func comments(t *testing.T, typ reflect.Type) map[string]string {
	t.Helper()
	_, dir, _ := strings.Cut(typ.PkgPath(), "stream-pump/stream-pump/")
	files, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no source of %s: %v", typ, err)
	}
	says := map[string]string{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != typ.Name() {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				for _, f := range s.Fields.List {
					for _, name := range f.Names {
						says[name.Name] = strings.Join(strings.Fields(f.Comment.Text()+" "+f.Doc.Text()), " ")
					}
				}
			}
			return false
		})
	}
	return says
}
