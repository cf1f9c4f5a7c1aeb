package config

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenPunctuation
	tokenWord
	tokenNumber
	tokenText
)

type scriptToken struct {
	kind tokenKind
	text string
	at   position
}

// String is how a problem names the token.
func (t scriptToken) String() string {
	switch t.kind {
	case tokenEnd:
		return "the end of the file"
	case tokenText:
		return "a text"
	}
	return t.text
}

// scriptLexer cuts JavaScript into tokens with positions; columns count characters.
type scriptLexer struct {
	name         string
	src          string // what is left
	line, column int
}

func (l *scriptLexer) at() position { return position{l.name, l.line, l.column} }

// take consumes n bytes.
func (l *scriptLexer) take(n int) string {
	s := l.src[:n]
	l.src = l.src[n:]
	for _, r := range s {
		if r == '\n' {
			l.line, l.column = l.line+1, 1
		} else {
			l.column++
		}
	}
	return s
}

func (l *scriptLexer) next() (scriptToken, *scriptError) {
	if err := l.space(); err != nil {
		return scriptToken{}, err
	}
	at := l.at()
	if l.src == "" {
		return scriptToken{kind: tokenEnd, at: at}, nil
	}
	c := l.src[0]
	switch {
	case c == '"' || c == '\'' || c == '`':
		return l.text(at)
	case '0' <= c && c <= '9' || c == '.' && len(l.src) > 1 && '0' <= l.src[1] && l.src[1] <= '9':
		n := l.span(func(r rune) bool { return r == '.' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) })
		return scriptToken{tokenNumber, l.take(n), at}, nil
	}
	if n := l.span(func(r rune) bool { return r == '_' || r == '$' || unicode.IsLetter(r) || unicode.IsDigit(r) }); n > 0 {
		return scriptToken{tokenWord, l.take(n), at}, nil
	}
	_, n := utf8.DecodeRuneInString(l.src)
	return scriptToken{tokenPunctuation, l.take(n), at}, nil
}

// span returns the length of the longest beginning made of what in accepts.
func (l *scriptLexer) span(in func(rune) bool) int {
	n := strings.IndexFunc(l.src, func(r rune) bool { return !in(r) })
	if n < 0 {
		return len(l.src)
	}
	return n
}

// space skips blanks and comments.
func (l *scriptLexer) space() *scriptError {
	for {
		l.take(l.span(func(r rune) bool { return unicode.IsSpace(r) || r == '\uFEFF' }))
		switch {
		case strings.HasPrefix(l.src, "//"), strings.HasPrefix(l.src, "#!"):
			l.take(l.span(func(r rune) bool { return r != '\n' }))
		case strings.HasPrefix(l.src, "/*"):
			end := strings.Index(l.src[2:], "*/")
			if end < 0 {
				return &scriptError{l.at(), "a comment does not end", "*/"}
			}
			l.take(end + 4)
		default:
			return nil
		}
	}
}

// text reads a string in any of the three quotes.
func (l *scriptLexer) text(at position) (scriptToken, *scriptError) {
	quote := l.take(1)[0]
	var b strings.Builder
	for l.src != "" {
		c := l.src[0]
		switch {
		case c == quote:
			l.take(1)
			return scriptToken{tokenText, b.String(), at}, nil
		case c == '\n' && quote != '`':
			return scriptToken{}, &scriptError{at, "a text does not end on its line", fmt.Sprintf("a closing %c", quote)}
		case c == '$' && quote == '`' && strings.HasPrefix(l.src, "${"):
			return scriptToken{}, &scriptError{l.at(), "the file computes a value; it is read, not run", "the value itself"}
		case c == '\\':
			s, err := l.escape()
			if err != nil {
				return scriptToken{}, err
			}
			b.WriteString(s)
		default:
			_, n := utf8.DecodeRuneInString(l.src)
			b.WriteString(l.take(n))
		}
	}
	return scriptToken{}, &scriptError{at, "a text does not end", fmt.Sprintf("a closing %c", quote)}
}

// escape reads what begins with a backslash.
func (l *scriptLexer) escape() (string, *scriptError) {
	at := l.at()
	l.take(1)
	if l.src == "" {
		return "", &scriptError{at, "a text does not end", "a closing quote"}
	}
	_, n := utf8.DecodeRuneInString(l.src)
	c := l.take(n)
	switch c {
	case "n":
		return "\n", nil
	case "r":
		return "\r", nil
	case "t":
		return "\t", nil
	case "b":
		return "\b", nil
	case "f":
		return "\f", nil
	case "v":
		return "\v", nil
	case "0":
		return "\x00", nil
	case "\n":
		return "", nil // a line goes on
	case "x":
		return l.hex(at, 2)
	case "u":
		return l.unicode(at)
	}
	return c, nil
}

func (l *scriptLexer) unicode(at position) (string, *scriptError) {
	if strings.HasPrefix(l.src, "{") {
		end := strings.IndexByte(l.src, '}')
		if end < 2 || end > 9 {
			return "", &scriptError{at, "an escape is not complete", `as in \u{1F600}`}
		}
		v, err := strconv.ParseUint(l.src[1:end], 16, 32)
		if err != nil || v > unicode.MaxRune {
			return "", &scriptError{at, "an escape is not complete", `as in \u{1F600}`}
		}
		l.take(end + 1)
		return string(rune(v)), nil
	}
	first, err := l.code(at, 4)
	if err != nil || !utf16.IsSurrogate(first) || !strings.HasPrefix(l.src, `\u`) {
		return string(first), err
	}
	saved := *l
	l.take(2)
	if second, err := l.code(at, 4); err == nil {
		if r := utf16.DecodeRune(first, second); r != utf8.RuneError {
			return string(r), nil
		}
	}
	*l = saved
	return string(utf8.RuneError), nil
}

func (l *scriptLexer) hex(at position, digits int) (string, *scriptError) {
	r, err := l.code(at, digits)
	return string(r), err
}

func (l *scriptLexer) code(at position, digits int) (rune, *scriptError) {
	if len(l.src) < digits {
		return 0, &scriptError{at, "an escape is not complete", fmt.Sprintf("%d hexadecimal digits", digits)}
	}
	v, err := strconv.ParseUint(l.src[:digits], 16, 32)
	if err != nil {
		return 0, &scriptError{at, "an escape is not complete", fmt.Sprintf("%d hexadecimal digits", digits)}
	}
	l.take(digits)
	return rune(v), nil
}
