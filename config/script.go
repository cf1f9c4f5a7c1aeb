package config

import "fmt"

// script reads the configuration of the 2011 program, a JavaScript module that
// assigns one object literal to exports.config:
//
//	exports.config = { port: 8086, streams: [ … ] };
//
// It is read, not run: comments, var/let/const in front, 'use strict',
// module.exports and a name assigned first and exported later are understood;
// anything computed is a problem.
func (d *decoder) script(name, text string) *node {
	p := newScriptParser(name, text, d.form.maxNodes)
	root := p.program()
	if p.err != nil {
		d.problem(p.err.at, p.err.what, p.err.right)
		return nil
	}
	return root
}

// scriptError is the first thing that could not be read; reading ends there.
type scriptError struct {
	at          position
	what, right string
}

// scriptParser is a recursive-descent parser with one token of look-ahead. After
// an error every method returns at once.
type scriptParser struct {
	lex   scriptLexer
	tok   scriptToken
	names map[string]*node // var config = {…}
	nodes int
	most  int // nodes
	err   *scriptError
}

func newScriptParser(name, text string, most int) *scriptParser {
	return &scriptParser{lex: scriptLexer{name: name, src: text, line: 1, column: 1}, names: map[string]*node{}, most: most}
}

// literal reads a file that is one value in the same spelling: JSON, also with comments,
// keys without quotes and commas at the end.
func (d *decoder) literal(name, text string) *node {
	p := newScriptParser(name, text, d.form.maxNodes)
	p.next()
	root := p.value(0)
	if p.err == nil && p.tok.kind != tokenEnd {
		p.fail(p.tok.at, fmt.Sprintf("%s stands behind the end of the value", p.tok), "nothing more")
	}
	if p.err != nil {
		d.problem(p.err.at, p.err.what, p.err.right)
		return nil
	}
	return root
}

func (p *scriptParser) fail(at position, what, right string) {
	if p.err == nil {
		p.err = &scriptError{at, what, right}
	}
	p.tok = scriptToken{kind: tokenEnd, at: at}
}

func (p *scriptParser) next() {
	if p.err != nil {
		return
	}
	tok, err := p.lex.next()
	if err != nil {
		p.fail(err.at, err.what, err.right)
		return
	}
	p.tok = tok
}

// accept takes the token when it is the punctuation s.
func (p *scriptParser) accept(s string) bool {
	if p.err == nil && p.tok.kind == tokenPunctuation && p.tok.text == s {
		p.next()
		return true
	}
	return false
}

func (p *scriptParser) expect(s, where string) {
	if !p.accept(s) {
		p.fail(p.tok.at, fmt.Sprintf("%s is missing %s", s, where), fmt.Sprintf("here stands %s", p.tok))
	}
}

func (p *scriptParser) expectEnd(bracket string) {
	if !p.accept(bracket) {
		p.fail(p.tok.at, fmt.Sprintf("a comma or %s is missing after the value", bracket), fmt.Sprintf("here stands %s", p.tok))
	}
}

// program reads statements until one exports the configuration.
func (p *scriptParser) program() *node {
	p.next()
	start := p.tok.at
	var root *node
	for p.err == nil && p.tok.kind != tokenEnd {
		switch {
		case p.accept(";"):
		case p.tok.kind == tokenText: // 'use strict'
			p.next()
		case p.tok.kind == tokenWord && (p.tok.text == "var" || p.tok.text == "let" || p.tok.text == "const"):
			p.next()
			p.declaration()
		case p.tok.kind == tokenWord && (p.tok.text == "exports" || p.tok.text == "module"):
			if n := p.export(); n != nil {
				root = n
			}
		default:
			p.fail(p.tok.at, fmt.Sprintf("%s cannot be read here", p.tok), "exports.config = {…};")
		}
	}
	if p.err == nil && root == nil {
		p.fail(start, "nothing is exported", "exports.config = {…};")
	}
	return root
}

// declaration reads "NAME = value, …" after var.
func (p *scriptParser) declaration() {
	for p.err == nil {
		name := p.tok
		if name.kind != tokenWord {
			p.fail(name.at, fmt.Sprintf("%s is no name", name), "var config = {…};")
			return
		}
		p.next()
		p.expect("=", "after the name")
		if v := p.value(0); p.err == nil {
			p.names[name.text] = v
		}
		if !p.accept(",") {
			return
		}
	}
}

// export reads exports.config = V, module.exports.config = V, module.exports = V
// and chains of them. An object with a member config that is an object itself, and
// exported as the whole module, stands for that member.
func (p *scriptParser) export() *node {
	target := p.dotted()
	p.expect("=", "after "+target)
	var v *node
	if p.tok.kind == tokenWord && (p.tok.text == "exports" || p.tok.text == "module") {
		v = p.export()
	} else {
		v = p.value(0)
	}
	switch target {
	case "exports.config", "module.exports.config":
		return v
	case "exports", "module.exports":
		if v != nil && v.kind == kindMap {
			if inner := v.get("config"); inner != nil && inner.kind == kindMap && len(v.fields) == 1 {
				return inner
			}
		}
		return v
	}
	return nil
}

func (p *scriptParser) dotted() string {
	path := p.tok.text
	p.next()
	for p.accept(".") {
		path += "." + p.tok.text
		if p.tok.kind != tokenWord {
			p.fail(p.tok.at, fmt.Sprintf("%s is no name", p.tok), "exports.config")
			return path
		}
		p.next()
	}
	return path
}

// value reads one value.
func (p *scriptParser) value(depth int) *node {
	at := p.tok.at
	if p.nodes++; p.nodes > p.most || depth > maxDepth {
		p.fail(at, "values are nested too deeply or too many", fmt.Sprintf("at most %d levels", maxDepth))
	}
	if p.err != nil {
		return &node{at: at}
	}
	switch {
	case p.accept("{"):
		return p.object(at, depth)
	case p.accept("["):
		return p.array(at, depth)
	case p.accept("("):
		v := p.value(depth + 1)
		p.expect(")", "after the value")
		return v
	}
	return p.plain(at)
}

func (p *scriptParser) plain(at position) *node {
	n := &node{kind: kindText, at: at, text: p.tok.text, size: 1}
	switch p.tok.kind {
	case tokenText:
	case tokenNumber:
		n.kind = kindNumber
	case tokenPunctuation:
		sign := p.tok.text
		if sign != "-" && sign != "+" {
			p.fail(at, fmt.Sprintf("%s is no value", p.tok), "text in quotes, a number, true, false, {…} or […]")
			return n
		}
		p.next()
		if p.tok.kind != tokenNumber {
			p.fail(at, "a sign stands before no number", "a number")
		}
		n.kind, n.text = kindNumber, p.tok.text
		if sign == "-" {
			n.text = sign + n.text
		}
	case tokenWord:
		n = p.word(n)
	default:
		p.fail(at, "the file ends where a value is missing", "text in quotes, a number, true, false, {…} or […]")
	}
	p.next()
	p.refuseOperator()
	return n
}

// word reads true, false, null, undefined and names given before.
func (p *scriptParser) word(n *node) *node {
	switch n.text {
	case "true", "false":
		n.kind = kindBool
	case "null", "undefined":
		n.kind = kindNull
	default:
		if known := p.names[n.text]; known != nil {
			return known
		}
		p.fail(n.at, fmt.Sprintf("%s is no value", n.text), "text in quotes, a number, true or false")
	}
	return n
}

func (p *scriptParser) refuseOperator() {
	if p.err != nil || p.tok.kind == tokenEnd {
		return
	}
	switch p.tok.text {
	case "+", "-", "*", "/", "?", "(", "[", ".", "|", "&":
		if p.tok.kind == tokenPunctuation {
			p.fail(p.tok.at, "the file computes a value; it is read, not run", "the value itself")
		}
	}
}

func (p *scriptParser) object(at position, depth int) *node {
	n := &node{kind: kindMap, at: at}
	for p.err == nil && !p.accept("}") {
		key := p.tok
		if key.kind != tokenWord && key.kind != tokenText && key.kind != tokenNumber {
			p.fail(key.at, fmt.Sprintf("%s is no key", key), "key: value")
			break
		}
		p.next()
		p.expect(":", "after the key "+key.text)
		n.fields = append(n.fields, field{key: key.text, at: key.at, value: p.value(depth + 1)})
		if !p.accept(",") {
			p.expectEnd("}")
			break
		}
	}
	return n.measure()
}

func (p *scriptParser) array(at position, depth int) *node {
	n := &node{kind: kindList, at: at}
	for p.err == nil && !p.accept("]") {
		n.items = append(n.items, p.value(depth+1))
		if !p.accept(",") {
			p.expectEnd("]")
			break
		}
	}
	return n.measure()
}
