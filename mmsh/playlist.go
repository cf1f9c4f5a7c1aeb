package mmsh

import (
	"bytes"
	"fmt"
	"html"
	"strconv"
	"strings"
)

// Bounds of a playlist that we read.
const (
	MaxPlaylist        = 64 << 10 // bytes; what follows is not looked at
	maxPlaylistEntries = 64
	maxPlaylistURL     = 2048 // bytes
)

var (
	asxMark       = []byte("<asx")
	referenceMark = []byte("[reference]")
)

// LooksLikePlaylist reports whether a body begins like an ASX metafile or a [Reference] text.
func LooksLikePlaylist(first []byte) bool {
	first = trimBOM(first)
	return hasPrefixFold(first, asxMark) || hasPrefixFold(first, referenceMark)
}

// ParsePlaylist reads the addresses out of an ASX metafile or a [Reference] text, in order. ASX is seldom XML: names
// are in any case, quotes may be missing, ampersands bare, so it is scanned, not parsed. It errs with [ErrNoPlaylist]
// when the body is neither or names no address.
func ParsePlaylist(body []byte) ([]string, error) {
	body = trimBOM(body[:min(len(body), MaxPlaylist)])
	var list []string
	switch {
	case hasPrefixFold(body, asxMark):
		list = asxRefs(string(body))
	case hasPrefixFold(body, referenceMark):
		list = referenceRefs(string(body))
	default:
		return nil, fmt.Errorf("body begins with %q: %w", body[:min(len(body), 16)], ErrNoPlaylist)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no address in %d bytes: %w", len(body), ErrNoPlaylist)
	}
	return list, nil
}

func asxRefs(s string) []string {
	var list []string
	for len(list) < maxPlaylistEntries {
		start := strings.IndexByte(s, '<')
		if start < 0 {
			break
		}
		if strings.HasPrefix(s[start:], "<!--") {
			_, s, _ = strings.Cut(s[start:], "-->")
			continue
		}
		tag, rest := cutTag(s[start+1:])
		s = rest
		if name, attributes := tagName(tag); strings.EqualFold(name, "ref") {
			list = addRef(list, html.UnescapeString(hrefOf(attributes)))
		}
	}
	return list
}

// cutTag cuts the inside of a tag off s, minding quoted '>'.
func cutTag(s string) (tag, rest string) {
	var quote byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

func tagName(tag string) (name, attributes string) {
	i := strings.IndexAny(tag, " \t\r\n/")
	if i < 0 {
		return tag, ""
	}
	return tag[:i], tag[i:]
}

// hrefOf finds the value of href= among the attributes of a tag.
func hrefOf(s string) string {
	for s != "" {
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			return ""
		}
		var value string
		value, s = attributeValue(strings.TrimLeft(rest, " \t\r\n"))
		if fields := strings.Fields(name); len(fields) > 0 && strings.EqualFold(fields[len(fields)-1], "href") {
			return value
		}
	}
	return ""
}

func attributeValue(s string) (value, rest string) {
	if s != "" && (s[0] == '"' || s[0] == '\'') {
		value, rest, _ = strings.Cut(s[1:], s[:1])
		return value, rest
	}
	if i := strings.IndexAny(s, " \t\r\n"); i >= 0 {
		return s[:i], s[i:]
	}
	return strings.TrimSuffix(s, "/"), ""
}

func referenceRefs(s string) []string {
	var list []string
	for line := range strings.Lines(s) {
		name, value, ok := strings.Cut(line, "=")
		if !ok || len(list) >= maxPlaylistEntries {
			continue
		}
		name = strings.TrimSpace(name)
		if len(name) > 3 && strings.EqualFold(name[:3], "ref") && allDigits(name[3:]) {
			list = addRef(list, value)
		}
	}
	return list
}

func allDigits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}

// addRef adds an address that is not too long and has no control characters in it.
func addRef(list []string, href string) []string {
	href = strings.TrimSpace(href)
	if href == "" || len(href) > maxPlaylistURL || strings.ContainsFunc(href, func(r rune) bool { return r < ' ' || r == 0x7F }) {
		return list
	}
	return append(list, href)
}

func trimBOM(b []byte) []byte {
	return bytes.TrimLeft(bytes.TrimPrefix(b, []byte("\xEF\xBB\xBF")), " \t\r\n")
}

func hasPrefixFold(b, lower []byte) bool {
	return len(b) >= len(lower) && bytes.EqualFold(b[:len(lower)], lower)
}

// MSWMExt is the query that makes Windows players take an http address without an extension for a stream.
const MSWMExt = "MSWMExt=.asf"

// AppendASX appends an ASX metafile whose one entry is tried at each address in turn; "" is left out. Everything is
// escaped.
func AppendASX(dst []byte, title string, urls ...string) []byte {
	dst = append(dst, "<ASX version=\"3.0\">\r\n"...)
	if title != "" {
		dst = append(append(append(dst, "  <TITLE>"...), escape(title)...), "</TITLE>\r\n"...)
	}
	dst = append(dst, "  <ENTRY>\r\n"...)
	for _, u := range urls {
		if u != "" {
			dst = append(append(append(dst, "    <REF HREF=\""...), escape(u)...), "\"/>\r\n"...)
		}
	}
	return append(dst, "  </ENTRY>\r\n</ASX>\r\n"...)
}

// escape makes s fit for XML, whatever bytes a Host header or a title held.
func escape(s string) string {
	return html.EscapeString(strings.ToValidUTF8(string(appendClean(nil, s)), "\uFFFD"))
}

// AppendTextPlaylist appends the older text form: [Reference] and a Ref line for each address.
func AppendTextPlaylist(dst []byte, urls ...string) []byte {
	dst = append(dst, "[Reference]\r\n"...)
	for i, u := range urls {
		dst = strconv.AppendInt(append(dst, "Ref"...), int64(i+1), 10)
		dst = append(appendClean(append(dst, '='), u), "\r\n"...)
	}
	return dst
}
