package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a configuration. A problem in the
// environment has the variable's name as File and no Line.
type Problem struct {
	File   string
	Line   int // from 1; 0: nowhere in particular
	Column int // from 1, in characters
	What   string
	Right  string // what would be right; may be empty
}

// String returns file:line:column: what is wrong (what would be right).
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": " + p.What)
	if p.Right != "" {
		b.WriteString(" (" + p.Right + ")")
	}
	return b.String()
}

// Problems is everything that is wrong with a configuration, in the order of
// position. It is never empty as an error.
type Problems []Problem

// Error returns one line for each problem, without a final newline.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

// sort orders by position; what has none comes last, by name.
func (p Problems) sort() {
	slices.SortStableFunc(p, func(a, b Problem) int {
		if (a.Line == 0) != (b.Line == 0) {
			return cmp.Compare(b.Line, a.Line)
		}
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.File, b.File))
	})
}
