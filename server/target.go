package server

import "strings"

// targetKind is what a request's path names.
type targetKind uint8

const (
	unknownTarget targetKind = iota
	streamTarget             // /streams/PATH
	asxTarget                // /streams/PATH.asx
	asfTarget                // /streams/PATH.asf
	pushTarget               // /streams/PATH_push
)

const (
	streamsPrefix = "/streams/"
	pushSuffix    = "_push"
	asxSuffix     = ".asx"
	asfSuffix     = ".asf"
)

// parseTarget tells what a path names; case and one trailing slash do not matter. The
// path of the stream comes back in lower case.
func parseTarget(path string) (targetKind, string) {
	path = strings.TrimSuffix(strings.ToLower(path), "/")
	name, ok := strings.CutPrefix(path, streamsPrefix)
	if !ok || name == "" || strings.Contains(name, "/") {
		return unknownTarget, ""
	}
	for _, t := range [...]struct {
		suffix string
		kind   targetKind
	}{{asxSuffix, asxTarget}, {asfSuffix, asfTarget}, {pushSuffix, pushTarget}} {
		if base, ok := strings.CutSuffix(name, t.suffix); ok && base != "" {
			return t.kind, base
		}
	}
	return streamTarget, name
}
