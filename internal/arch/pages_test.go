package arch

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// page is a page of the documentation, by its path from the root of the repository.
type page struct {
	anchors map[string]bool
	links   []string // relative ones, as they stand there
}

var (
	link    = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading = regexp.MustCompile(`^#+ +(.*)$`)
	linked  = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`) // within a heading
)

// readPage reads headings and links outside of code.
func readPage(t *testing.T, name string) *page {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root(t), name))
	if err != nil {
		t.Fatal(err)
	}
	p := &page{anchors: map[string]bool{}}
	fenced := false
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		if fenced || strings.HasPrefix(line, "    ") {
			continue
		}
		if m := heading.FindStringSubmatch(line); m != nil {
			p.anchors[slug(m[1])] = true
		}
		for _, m := range link.FindAllStringSubmatch(line, -1) {
			if !strings.Contains(m[1], "://") && !strings.HasPrefix(m[1], "mailto:") {
				p.links = append(p.links, m[1])
			}
		}
	}
	return p
}

// slug is the anchor that GitHub makes of a heading.
func slug(heading string) string {
	heading = linked.ReplaceAllString(heading, "$1")
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}

// Every page for users can be reached from the README, and every link leads somewhere.
func TestPagesHangTogether(t *testing.T) {
	pages := map[string]*page{}
	for queue := []string{"README.md", "CONTRIBUTING.md"}; len(queue) > 0; queue = queue[1:] {
		if pages[queue[0]] != nil {
			continue
		}
		p := readPage(t, queue[0])
		pages[queue[0]] = p
		for _, l := range p.links {
			target, _, _ := strings.Cut(l, "#")
			name := path.Join(path.Dir(queue[0]), target)
			if _, err := os.Stat(filepath.Join(root(t), name)); err != nil {
				t.Errorf("%s: the link %s leads nowhere", queue[0], l)
			} else if target != "" && path.Ext(name) == ".md" {
				queue = append(queue, name)
			}
		}
	}
	for name, p := range pages {
		for _, l := range p.links {
			target, anchor, found := strings.Cut(l, "#")
			to := pages[name]
			if target != "" {
				to = pages[path.Join(path.Dir(name), target)]
			}
			if found && to != nil && !to.anchors[anchor] {
				t.Errorf("%s: the link %s leads to no heading", name, l)
			}
		}
	}
	all, err := filepath.Glob(filepath.Join(root(t), "docs", "*.md"))
	if err != nil || len(all) == 0 {
		t.Fatal(err)
	}
	for _, file := range all {
		if name := "docs/" + filepath.Base(file); pages[name] == nil {
			t.Errorf("%s cannot be reached from the README", name)
		}
	}
}
