// Package boardtest checks a Grafana dashboard of this project against a metrics page: it asks
// only for what is there, sets the variables that it uses, and can be drawn.
package boardtest

import (
	"encoding/json"
	"os"
	"regexp"
	"testing"
)

// board is what is looked at of a dashboard.
type board struct {
	Title, UID string
	Templating struct {
		List []struct{ Name, Type, Definition string }
	}
	Panels []panel
}

type panel struct {
	ID      int
	Type    string
	Title   string
	GridPos struct{ H, W, X, Y int }
	Targets []struct{ Expr string }
}

// grafanaWide is the number of columns of a dashboard.
const grafanaWide = 24

var (
	sample   = regexp.MustCompile(`(?m)^([a-z_]+)[ {]`)
	variable = regexp.MustCompile(`\$([a-z_]+)`)
)

// Check checks the dashboard in a file against the text of a metrics page. own is what the
// names of the program's own metrics begin with; at least so many are to be asked for.
func Check(t testing.TB, file, page, own string, least int) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var b board
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	if b.Title == "" || b.UID == "" {
		t.Errorf("the dashboard has the title %q and the uid %q", b.Title, b.UID)
	}
	here := map[string]bool{}
	for _, m := range sample.FindAllStringSubmatch(page, -1) {
		here[m[1]] = true
	}
	metric := regexp.MustCompile(`\b(` + own + `|process|go)_[a-z_]+`)
	asked := map[string]bool{}
	check := func(where, expr string) {
		for _, name := range metric.FindAllString(expr, -1) {
			asked[name] = true
			if !here[name] {
				t.Errorf("%s asks for %s, which is not on the page", where, name)
			}
		}
	}
	variables := map[string]bool{"__rate_interval": true}
	for _, v := range b.Templating.List {
		variables[v.Name] = true
		check("the variable "+v.Name, v.Definition)
	}
	for _, p := range b.Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("%q asks for nothing", p.Title)
		}
		for _, target := range p.Targets {
			check(p.Title, target.Expr)
			for _, v := range variable.FindAllStringSubmatch(target.Expr, -1) {
				if !variables[v[1]] {
					t.Errorf("%q uses $%s, which nobody sets", p.Title, v[1])
				}
			}
		}
	}
	if len(asked) < least {
		t.Errorf("it asks for %d metrics only", len(asked))
	}
	placed(t, b.Panels)
}

// placed looks whether panels can be told apart, and lie beside each other.
func placed(t testing.TB, panels []panel) {
	t.Helper()
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range panels {
		if ids[p.ID] || p.Title == "" {
			t.Errorf("panel %d %q", p.ID, p.Title)
		}
		ids[p.ID] = true
		for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= grafanaWide {
					t.Fatalf("%q lies on %q", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}
