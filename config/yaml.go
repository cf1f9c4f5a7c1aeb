package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxBlockColumn bounds how far a block may be indented. Every block within another
// stands further right, so this bounds the nesting the YAML parser recurses into.
const maxBlockColumn = 200

// yaml parses text as YAML and returns its root, or nil with a problem noted.
func (d *decoder) yaml(name, text string) *node {
	tokens := lexer.Tokenize(text)
	if !d.shallow(name, tokens) {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		d.syntax(name, text, err)
		return nil
	}
	y := &yamlReader{d: d, name: name, anchors: map[string]*node{}}
	var root *node
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType || doc.Body.Type() == ast.DirectiveType {
			continue
		}
		n := y.node(doc.Body, 0)
		if root != nil {
			d.problem(n.at, "a second document begins", "one document in a file")
			return nil
		}
		root = n
	}
	if root == nil {
		d.problem(position{name, 1, 1}, "the file holds no settings", d.form.least)
	}
	return root
}

// shallow refuses nesting beyond maxDepth before the parser, which recurses, sees it,
// and mappings of more than maxKeys, over which the parser takes quadratic time.
func (d *decoder) shallow(name string, tokens token.Tokens) bool {
	depth := 0
	keys := keyCount{}
	for _, t := range tokens {
		column := 0 // of a token that begins a level of its own
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			depth++
			keys.begin(-depth)
		case token.MappingEndType, token.SequenceEndType:
			depth = max(depth-1, 0)
		case token.MappingKeyType:
			d.problem(position{name, t.Position.Line, t.Position.Column}, "a key must be a word, not a value of its own after ?", "key: value")
			return false
		case token.SequenceEntryType, token.TagType, token.AnchorType, token.AliasType:
			column = t.Position.Column
			keys.inside(column)
		case token.MappingValueType:
			level := -depth
			if depth == 0 && t.Prev != nil {
				column = t.Prev.Position.Column
				level = column
			}
			keys.add(level)
		}
		at := position{name, t.Position.Line, t.Position.Column}
		if depth > maxDepth || column > maxBlockColumn {
			d.problem(at, "values are nested too deeply", fmt.Sprintf("at most %d levels", maxDepth))
			return false
		}
		if keys.most > maxKeys {
			d.problem(at, "a mapping has too many keys", fmt.Sprintf("at most %d", maxKeys))
			return false
		}
	}
	return true
}

// maxKeys bounds the keys of one mapping; the largest there is has a few dozen.
const maxKeys = 1000

// keyCount counts the keys of the mappings that are open, by level: the column of a
// block, or the negative depth of a flow.
type keyCount struct {
	counts [maxBlockColumn + maxDepth + 2]int
	most   int
}

func (k *keyCount) slot(level int) int {
	return min(max(level+maxDepth+1, 0), len(k.counts)-1)
}

func (k *keyCount) begin(level int) { k.counts[k.slot(level)] = 0 }

// inside tells that a block entry begins at column, and so ends what is further right.
func (k *keyCount) inside(column int) {
	for i := k.slot(column) + 1; i < len(k.counts); i++ {
		k.counts[i] = 0
	}
}

func (k *keyCount) add(level int) {
	if level > 0 {
		k.inside(level)
	}
	i := k.slot(level)
	k.counts[i]++
	k.most = max(k.most, k.counts[i])
}

// syntax notes what the parser says. For a tab in the indentation, which it finds
// late, the tab is shown.
func (d *decoder) syntax(name, text string, err error) {
	at := position{name, 1, 1}
	what := err.Error()
	var se *yaml.SyntaxError
	if errors.As(err, &se) {
		what = se.Message
		if se.Token != nil && se.Token.Position != nil {
			at.line, at.column = max(se.Token.Position.Line, 1), max(se.Token.Position.Column, 1)
		}
	}
	what, _, _ = strings.Cut(what, "\n")
	if i := tabIndent.FindStringIndex(text); i != nil && (strings.Contains(what, "tab") || strings.Contains(what, "\t")) {
		d.problem(offsetAt(name, []byte(text), i[1]-1), "a tab stands in the indentation", "spaces")
		return
	}
	d.problem(at, "this is no YAML: "+what, "")
}

var tabIndent = regexp.MustCompile(`(?m)^ *\t`)

// yamlReader turns the YAML syntax tree into nodes.
type yamlReader struct {
	d       *decoder
	name    string
	anchors map[string]*node
	deep    bool // the depth problem has been noted
}

func (y *yamlReader) at(t *token.Token) position {
	if t == nil || t.Position == nil {
		return position{y.name, 1, 1}
	}
	return position{y.name, t.Position.Line, t.Position.Column}
}

func (y *yamlReader) node(n ast.Node, depth int) *node {
	if n == nil {
		return &node{kind: kindNull, at: position{y.name, 1, 1}, size: 1}
	}
	at := y.at(n.GetToken())
	if depth > maxDepth {
		if !y.deep {
			y.deep = true
			y.d.problem(at, "values are nested too deeply", fmt.Sprintf("at most %d levels", maxDepth))
		}
		return &node{kind: kindNull, at: at, size: 1}
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return y.mapping(n.Values, at, n.IsFlowStyle, depth)
	case *ast.MappingValueNode:
		return y.mapping([]*ast.MappingValueNode{n}, at, false, depth)
	case *ast.SequenceNode:
		list := &node{kind: kindList, at: at}
		for _, v := range n.Values {
			list.items = append(list.items, y.node(v, depth+1))
		}
		return list.measure()
	case *ast.AnchorNode:
		v := y.node(n.Value, depth+1)
		if n.Name != nil {
			y.anchors[n.Name.String()] = v
		}
		return v
	case *ast.AliasNode:
		return y.alias(n, at)
	case *ast.TagNode:
		return y.tag(n, at, depth)
	}
	return y.scalar(n, at)
}

func (y *yamlReader) alias(n *ast.AliasNode, at position) *node {
	if n.Value != nil {
		if v := y.anchors[n.Value.String()]; v != nil {
			return v
		}
		y.d.problem(at, fmt.Sprintf("alias *%s has no anchor before it", n.Value.String()), "")
	}
	return &node{kind: kindNull, at: at, size: 1}
}

func (y *yamlReader) tag(n *ast.TagNode, at position, depth int) *node {
	v := y.node(n.Value, depth+1)
	switch n.Start.Value {
	case "!!str":
		if v.kind == kindBool || v.kind == kindNumber || v.kind == kindNull {
			c := *v
			c.kind = kindText
			return &c
		}
	case "!!int", "!!float", "!!bool", "!!null", "!!map", "!!seq":
	default:
		y.d.problem(at, fmt.Sprintf("tag %s is unknown", n.Start.Value), "no tag")
	}
	return v
}

func (y *yamlReader) mapping(values []*ast.MappingValueNode, at position, flow bool, depth int) *node {
	m := &node{kind: kindMap, at: at}
	var merges []*node
	for i, v := range values {
		keyAt := y.at(v.Key.GetToken())
		if i == 0 && !flow {
			m.at = keyAt
		}
		if v.Key.IsMergeKey() {
			merges = append(merges, y.node(v.Value, depth+1))
			continue
		}
		value := y.node(v.Value, depth+1)
		m.fields = append(m.fields, field{key: y.key(v.Key, keyAt), at: keyAt, value: value})
	}
	for _, from := range merges {
		y.merge(m, from)
	}
	return m.measure()
}

func (y *yamlReader) key(k ast.MapKeyNode, at position) string {
	switch k := k.(type) {
	case *ast.StringNode:
		return k.Value
	case ast.ScalarNode:
		return k.GetToken().Value
	}
	y.d.problem(at, "a key must be a word", "")
	return ""
}

// merge adds the fields of a "<<" value that m does not have itself.
func (y *yamlReader) merge(m, from *node) {
	switch from.kind {
	case kindMap:
		for _, f := range from.fields {
			if m.get(f.key) == nil && len(m.fields) < y.d.form.maxNodes {
				f.merged = true
				m.fields = append(m.fields, f)
			}
		}
	case kindList:
		for _, c := range from.items {
			if c.kind != kindMap {
				y.d.problem(c.at, "<< must name mappings, not "+c.kind.String(), "")
				continue
			}
			y.merge(m, c)
		}
	default:
		y.d.problem(from.at, "<< must name a mapping, not "+from.kind.String(), "")
	}
}

func (y *yamlReader) scalar(n ast.Node, at position) *node {
	s := &node{kind: kindText, at: at, size: 1}
	switch n := n.(type) {
	case *ast.NullNode:
		s.kind = kindNull
	case *ast.BoolNode:
		s.kind, s.text = kindBool, fmt.Sprint(n.Value)
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		s.kind, s.text = kindNumber, n.GetToken().Value
	case *ast.StringNode:
		s.text = n.Value
	case *ast.LiteralNode:
		s.text = n.Value.Value
	default:
		y.d.problem(at, "this value cannot be read", "a plain value")
		s.kind = kindNull
	}
	return s
}
