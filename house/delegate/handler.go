package delegate

import (
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/stream-pump/stream-pump/house/relay"
	"github.com/stream-pump/stream-pump/mmsh"
)

const streamsPrefix = "/streams/"

// Endings of paths.
const (
	asxSuffix  = ".asx"
	asfSuffix  = ".asf"
	pushSuffix = "_push"
)

// target is what a request's path names.
type target struct {
	stream int32
	ending string // one of the above, or empty
}

// targetOf finds the stream of a path. Neither case nor one slash at the end counts.
func (x *index) targetOf(path string) (target, bool) {
	name, ok := strings.CutPrefix(strings.ToLower(path), streamsPrefix)
	if !ok {
		return target{}, false
	}
	name = strings.TrimSuffix(name, "/")
	if i, ok := x.streams[name]; ok {
		return target{stream: i}, true
	}
	for _, ending := range [...]string{asxSuffix, asfSuffix, pushSuffix} {
		if base, ok := strings.CutSuffix(name, ending); ok {
			i, ok := x.streams[base]
			return target{stream: i, ending: ending}, ok
		}
	}
	return target{}, false
}

// ServeHTTP answers a request for /streams/….
func (d *Delegator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := d.index.Load()
	t, ok := x.targetOf(r.URL.Path)
	if !ok {
		d.counts.unknown.Add(1)
		refuse(w, r, http.StatusNotFound, "there is no such stream")
		return
	}
	p := playerOf(r)
	switch {
	case t.ending == pushSuffix || p.kind == mmsh.PushSetup || p.kind == mmsh.PushStart || p.kind == mmsh.PushOther:
		refuse(w, r, http.StatusForbidden, "encoders push to a pump, not to the house")
	case t.ending == asxSuffix && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		d.list(w, r, x, t)
	case p.step == enter, p.step == ask, p.kind == mmsh.HeadWeb:
		d.send(w, r, x, t, p)
	default:
		aside(w, r, p.kind)
	}
}

// aside answers what Windows players say beside the stream; it is of no use here, but they want an answer.
func aside(w http.ResponseWriter, r *http.Request, k mmsh.RequestKind) {
	h := w.Header()
	switch k {
	case mmsh.Log, mmsh.LogXML, mmsh.SendEvent, mmsh.ContentInfo, mmsh.Options:
	default:
		refuse(w, r, http.StatusBadRequest, "the house sends viewers to pumps and knows no sessions")
		return
	}
	if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, mmsh.MaxLogBody)); err != nil {
		refuse(w, r, http.StatusRequestEntityTooLarge, "too much, or cut off")
		return
	}
	h.Set("Server", mmsh.ServerViewer)
	h.Set("Cache-Control", "no-cache")
	h.Set("Pragma", "no-cache, timeout=60000")
	if k == mmsh.Log || k == mmsh.LogXML {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
}

// queryOf is what the choice for a request depends on.
func (d *Delegator) queryOf(r *http.Request, x *index, stream int32, s step) query {
	a := d.opts.Remote(r).Unmap().WithZone("")
	if r.Method == http.MethodHead {
		s = look
	}
	return query{
		addr: a, key: viewerKey(a, clientOf(r.URL.RawQuery, d.opts.IDParameter), x.keys[stream]), stream: stream, step: s,
		now: d.opts.Now().UnixNano(),
	}
}

// clientOf is the outside id in a query, empty if there is none.
func clientOf(rawQuery, parameter string) string {
	for rawQuery != "" {
		var part string
		part, rawQuery, _ = strings.Cut(rawQuery, "&")
		if name, value, _ := strings.Cut(part, "="); name == parameter {
			if clean, err := url.QueryUnescape(value); err == nil {
				return clean
			}
			return value
		}
	}
	return ""
}

// Choose tells which pump a viewer of a stream would be sent to now, or why to none. No place is kept.
func (d *Delegator) Choose(a netip.Addr, client, stream string) (pump, why string) {
	x := d.index.Load()
	t, ok := x.targetOf(streamsPrefix + stream)
	if !ok {
		return "", "there is no such stream"
	}
	a = a.Unmap().WithZone("")
	s, v := d.choose(x, query{addr: a, key: viewerKey(a, client, x.keys[t.stream]), stream: t.stream, step: look, now: d.opts.Now().UnixNano()})
	if s == nil {
		return "", v.text()
	}
	return s.pump.ID(), ""
}

func (v verdict) text() string {
	switch v {
	case noNetwork:
		return "no pump serves this network"
	case full:
		return "all pumps for this network are full"
	}
	return "the stream is not live at any pump for this network"
}

// send sends a viewer to a pump.
func (d *Delegator) send(w http.ResponseWriter, r *http.Request, x *index, t target, p player) {
	relayed := d.opts.Relay != nil && d.opts.Relay.On() && r.Method == http.MethodGet
	if p.form == byUs && relayed {
		d.through(w, r, x, t)
		return
	}
	q := d.queryOf(r, x, t.stream, p.step)
	q.plain = relayed && !p.tls
	s, why := d.choose(x, q)
	if s == nil && why == full && q.plain && x.behindTLS(q) {
		d.through(w, r, x, t)
		return
	}
	if s == nil {
		d.none(w, r, why)
		return
	}
	base := s.pump.URL()
	host, plain := strings.CutPrefix(base, "http://")
	if !plain && !p.tls && relayed {
		d.through(w, r, x, t)
		return
	}
	if p.form == byUs || !plain && !p.tls {
		p.form = toHTTP // as good as any
	}
	location := base + x.location(t, r.URL.RawQuery)
	if p.form == toMMSH && plain {
		d.counts.toMMSH.Add(1)
		location = "mmsh://" + host + x.location(t, r.URL.RawQuery)
	} else {
		d.counts.toHTTP.Add(1)
	}
	redirect(w, location, p.mmsh)
}

// through serves a viewer through the house: one of a network that pumps serve, whether or not they have room for him.
func (d *Delegator) through(w http.ResponseWriter, r *http.Request, x *index, t target) {
	q := d.queryOf(r, x, t.stream, look)
	s, why := d.choose(x, q)
	if s == nil && why == noNetwork {
		d.none(w, r, why)
		return
	}
	v := relay.Visitor{Stream: x.paths[t.stream], Target: x.location(t, r.URL.RawQuery), Remote: netip.AddrPortFrom(q.addr, portOf(r))}
	if s != nil {
		v.Bits = max(s.rates[t.stream].Load(), 0)
	}
	err := d.opts.Relay.Serve(w, r, v)
	switch {
	case err == nil:
		d.counts.relayed.Add(1)
	case errors.Is(err, relay.ErrNoSource) && s == nil:
		d.none(w, r, why)
	default:
		refuse(w, r, http.StatusServiceUnavailable, err.Error())
	}
}

// portOf is the port at the other end of the connection, of a proxy if there is one.
func portOf(r *http.Request) uint16 {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return 0
	}
	return a.Port()
}

// location is where a stream is at a pump.
func (x *index) location(t target, rawQuery string) string {
	if rawQuery == "" {
		return streamsPrefix + x.paths[t.stream] + t.ending
	}
	return streamsPrefix + x.paths[t.stream] + t.ending + "?" + rawQuery
}

// Header values that are always the same; shared, never changed.
var (
	noStore   = []string{"no-store"}
	noLength  = []string{"0"}
	closes    = []string{"close"}
	asServer  = []string{mmsh.ServerViewer}
	plainText = []string{"text/plain; charset=utf-8"}
)

// redirect answers 302. MMSH players want it from a server they know, and the connection closed.
func redirect(w http.ResponseWriter, location string, player bool) {
	h := w.Header()
	h["Location"] = []string{location}
	h["Cache-Control"] = noStore
	h["Content-Length"] = noLength
	if player {
		h["Server"] = asServer
		h["Connection"] = closes
	}
	w.WriteHeader(http.StatusFound)
}

// retryAfter is how many seconds a viewer should wait who cannot be served now.
var retryAfter = []string{"5"}

// none answers a viewer for whom there is no pump.
func (d *Delegator) none(w http.ResponseWriter, r *http.Request, why verdict) {
	switch why {
	case noNetwork:
		d.counts.noNetwork.Add(1)
	case full:
		d.counts.full.Add(1)
	default:
		d.counts.notLive.Add(1)
	}
	if to := d.settings.Load().Fallback; to != "" {
		d.counts.fallback.Add(1)
		redirect(w, to, mmsh.ParseAgent(r.UserAgent()).MMSH)
		return
	}
	refuse(w, r, http.StatusServiceUnavailable, why.text())
}

// refuse answers with an error that people can read.
func refuse(w http.ResponseWriter, r *http.Request, status int, text string) {
	h := w.Header()
	h["Content-Type"] = plainText
	h["Cache-Control"] = noStore
	if status == http.StatusServiceUnavailable {
		h["Retry-After"] = retryAfter
	}
	if mmsh.ParseAgent(r.UserAgent()).MMSH {
		h["Server"] = asServer
		h["Connection"] = closes
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, text+"\n") // #nosec G705 -- plain text, and never what was asked; whoever is gone needs no answer
	}
}
