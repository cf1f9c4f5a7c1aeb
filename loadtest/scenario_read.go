package loadtest

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

const maxProblems = 100 // that are told

// scenarioReader takes values out of a syntax tree and notes where one is not what it must be.
type scenarioReader struct {
	name     string
	problems []error
}

// fields says who reads which key of a mapping.
type fields map[string]func(ast.Node)

func (s *scenarioReader) problem(t *token.Token, what, right string) {
	line, column := 1, 1
	if t != nil && t.Position != nil {
		line, column = max(t.Position.Line, 1), max(t.Position.Column, 1)
	}
	if right != "" {
		right = " (" + right + ")"
	}
	if len(s.problems) < maxProblems {
		s.problems = append(s.problems, fmt.Errorf("%s:%d:%d: %s%s", s.name, line, column, what, right))
	}
}

// mapping reads a mapping by its keys; one that says nothing is empty.
func (s *scenarioReader) mapping(n ast.Node, known fields) {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	case *ast.NullNode, *ast.CommentGroupNode:
	default:
		s.problem(n.GetToken(), "this is no mapping", "keys: "+keysOf(known))
	}
	for _, v := range values {
		key := v.Key.GetToken()
		read := known[key.Value]
		if read == nil {
			s.problem(key, fmt.Sprintf("unknown key %.40q", key.Value), keysOf(known))
			continue
		}
		if v.Value != nil && v.Value.Type() != ast.NullType {
			read(v.Value)
		}
	}
}

func keysOf(known fields) string { return strings.Join(slices.Sorted(maps.Keys(known)), ", ") }

// list reads each entry of a list.
func (s *scenarioReader) list(n ast.Node, right string, most int, read func(ast.Node)) {
	l, ok := n.(*ast.SequenceNode)
	switch {
	case !ok:
		s.problem(n.GetToken(), "this is no list", right)
	case len(l.Values) > most:
		s.problem(n.GetToken(), fmt.Sprintf("%d entries are too many", len(l.Values)), fmt.Sprintf("at most %d", most))
	default:
		for _, v := range l.Values {
			read(v)
		}
	}
}

// text is what a plain value says, false for anything else.
func (s *scenarioReader) text(n ast.Node, right string) (string, bool) {
	if v, ok := n.(ast.ScalarNode); ok && n.Type() != ast.LiteralType {
		return v.GetToken().Value, true
	}
	s.problem(n.GetToken(), "this is no plain value", right)
	return "", false
}

func (s *scenarioReader) number(to **float64, least, most float64) func(ast.Node) {
	return func(n ast.Node) {
		right := fmt.Sprintf("a number, %v to %v", least, most)
		text, ok := s.text(n, right)
		if !ok {
			return
		}
		v, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
		if err != nil || math.IsNaN(v) || v < least || v > most {
			s.problem(n.GetToken(), fmt.Sprintf("%.40q cannot be", text), right)
			return
		}
		*to = &v
	}
}

func (s *scenarioReader) whole(to **int, least, most int, unit string) func(ast.Node) {
	return func(n ast.Node) {
		right := strings.TrimSpace(fmt.Sprintf("%d to %d %s", least, most, unit))
		text, ok := s.text(n, right)
		if !ok {
			return
		}
		v, err := strconv.Atoi(strings.ReplaceAll(text, "_", ""))
		if err != nil || v < least || v > most {
			s.problem(n.GetToken(), fmt.Sprintf("%.40q cannot be", text), right)
			return
		}
		*to = &v
	}
}

// span is a time span such as 20s, or a number of seconds.
func (s *scenarioReader) span(to *time.Duration) func(ast.Node) {
	return func(n ast.Node) {
		const right = "a time span above 0 and up to 168h, as in 20s, 1m30s, or seconds"
		text, ok := s.text(n, right)
		if !ok {
			return
		}
		d, err := time.ParseDuration(text)
		if seconds, no := strconv.ParseFloat(text, 64); no == nil && seconds <= maxDuration.Seconds() {
			d, err = time.Duration(seconds*float64(time.Second)), nil
		}
		if err != nil || d <= 0 || d > maxDuration {
			s.problem(n.GetToken(), fmt.Sprintf("%.40q cannot be", text), right)
			return
		}
		*to = d
	}
}

func (s *scenarioReader) addresses(to *[]string) func(ast.Node) {
	const right = "a list of addresses, as in [mmsh://host:8086/streams/x]"
	return func(n ast.Node) {
		s.list(n, right, maxURLs, func(n ast.Node) {
			text, ok := s.text(n, right)
			if !ok {
				return
			}
			if _, err := parseTarget(text); err != nil {
				s.problem(n.GetToken(), err.Error(), right)
			}
			*to = append(*to, text)
		})
	}
}

func (s *scenarioReader) phases(to *[]scenarioPhase) func(ast.Node) {
	return func(n ast.Node) {
		s.list(n, leastScenario, maxPhases, func(n ast.Node) {
			var p scenarioPhase
			var churn *float64
			s.mapping(n, fields{
				"name":     func(n ast.Node) { p.name, _ = s.text(n, "a name") },
				"clients":  s.whole(&p.clients, 0, maxClients, "viewers"),
				"ramp":     s.number(&p.ramp, -1, maxClients),
				"duration": s.span(&p.duration),
				"churn":    s.number(&churn, 0, maxClients),
			})
			override(&p.churn, churn)
			*to = append(*to, p)
		})
	}
}
