package delegate

import (
	"net/http"
	"strings"

	"github.com/stream-pump/stream-pump/mmsh"
)

// form is the kind of redirect that a player follows.
type form uint8

const (
	toHTTP form = iota // a redirect to http (FFmpeg, Windows players), or whatever the pump has for those that are no MMSH players
	toMMSH             // a redirect to mmsh (VLC)
	byUs               // none: the house serves the stream itself (libmms, MPlayer)
)

// player is what a request tells of who sent it.
type player struct {
	form form
	tls  bool // follows to https
	mmsh bool
	step step
	kind mmsh.RequestKind
}

// playerOf reads a request. Its kind is as [mmsh.Classify] says, for all but the plainest requests.
func playerOf(r *http.Request) player {
	if r.Method == http.MethodGet && r.Header["Pragma"] == nil && !strings.HasPrefix(r.UserAgent(), "NS") {
		if a := mmsh.ParseAgent(r.UserAgent()); !a.MMSH {
			return player{form: toHTTP, tls: true, step: enter, kind: mmsh.Web}
		}
	}
	q := mmsh.Classify(r.Method, r.Header)
	p := player{mmsh: q.Agent.MMSH, kind: q.ForSession(r.Method, false), tls: !q.Agent.MMSH || q.Relay}
	switch p.kind {
	case mmsh.Describe:
		p.step = ask
	case mmsh.Play, mmsh.Web:
		p.step = enter
	}
	if p.mmsh && !q.Relay {
		p.form = formOf(q.Agent, r.ProtoAtLeast(1, 1))
	}
	return p
}

// formOf tells players apart. FFmpeg, libmms and MPlayer all say NSPlayer/4.1, but only FFmpeg asks by HTTP/1.1; VLC
// has a version of Windows' format kit that was never given out.
func formOf(a mmsh.Agent, http11 bool) form {
	switch {
	case !a.HasVersion:
		return byUs
	case strings.EqualFold(a.Name, "NSPlayer") && a.Major == 7 && a.Minor == 10:
		return toMMSH
	case a.Major >= 7:
		return toHTTP
	case strings.EqualFold(a.Name, "NSPlayer") && http11:
		return toHTTP
	}
	return byUs
}
