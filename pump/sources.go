package pump

import (
	"fmt"
	"net"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/ingest"
	"github.com/stream-pump/stream-pump/telemetry"
)

// lineup is what is asked for a stream, in order of preference; pushFirst tells that encoders
// come before all of them. It is not changed.
type lineup struct {
	list      []asked
	pushFirst bool
}

// asked is one source with what it was made from.
type asked struct {
	cfg    config.Source
	proxy  *ingest.Proxy
	source ingest.Source
}

// sources returns the bare sources.
func (l *lineup) sources() (list []ingest.Source) {
	for _, a := range l.list {
		list = append(list, a.source)
	}
	return list
}

// has tells whether a source is among them.
func (l *lineup) has(s ingest.Source) bool { return slices.Contains(l.sources(), s) }

// lineupOf makes the sources of a stream. What is in the former lineup too is the same
// source, so that it need not start anew.
func (p *Pump) lineupOf(c config.Stream, whole *config.Config, former lineup) (l lineup, err error) {
	l.pushFirst = c.Type == config.TypePush
	left := slices.Clone(former.list)
	for i, o := range c.AllSources() {
		if o.Type == config.TypePush {
			l.pushFirst = l.pushFirst || i == 0
			continue
		}
		a := asked{cfg: o, proxy: proxyOf(c, whole)}
		same := func(b asked) bool { return b.cfg == a.cfg && reflect.DeepEqual(b.proxy, a.proxy) }
		if at := slices.IndexFunc(left, same); at >= 0 {
			l.list = append(l.list, left[at])
			left = slices.Delete(left, at, at+1)
			continue
		}
		if a.source, err = p.newSource(a, whole); err != nil {
			return lineup{}, fmt.Errorf("stream %s: %w", c.Path, err)
		}
		l.list = append(l.list, a)
	}
	return l, nil
}

func (p *Pump) newSource(a asked, whole *config.Config) (ingest.Source, error) {
	switch a.cfg.Type {
	case config.TypeFileLoop:
		return ingest.NewFile(a.cfg.File), nil
	case config.TypeTestCard:
		return ingest.NewTestCard(), nil
	}
	o := ingest.PullOptions{
		URL: sourceURL(a.cfg), User: a.cfg.User, Password: a.cfg.Password, Proxy: a.proxy,
		Timeout: whole.Pull.Timeout.D(), Log: p.events,
	}
	if in := p.opts.inside; in != nil {
		o.RootCAs = in.Roots
	}
	return ingest.NewPull(o)
}

// sourceURL returns where a pulled source is.
func sourceURL(o config.Source) string {
	if o.URL != "" {
		return o.URL
	}
	return "http://" + net.JoinHostPort(o.Host, strconv.Itoa(o.Port)) + "/" + strings.TrimPrefix(o.Path, "/")
}

// proxyOf returns the proxy that a stream is pulled through, nil for none.
func proxyOf(c config.Stream, whole *config.Config) *ingest.Proxy {
	use := whole.UseHTTPProxy
	if c.Proxy != nil {
		use = *c.Proxy
	}
	if !use || whole.HTTPProxyHost == "" {
		return nil
	}
	return &ingest.Proxy{
		Address: net.JoinHostPort(whole.HTTPProxyHost, strconv.Itoa(whole.HTTPProxyPort)),
		Local:   whole.UseProxyForLocalAddresses,
	}
}

// sourceNames tells a stream's sources in few words, without secrets.
func sourceNames(c config.Stream) []string {
	var names []string
	for _, o := range c.AllSources() {
		names = append(names, sourceName(o))
	}
	return names
}

func sourceName(o config.Source) string {
	switch {
	case o.Type == config.TypePull:
		return telemetry.Redact(sourceURL(o))
	case o.Type == config.TypeFileLoop:
		return "file " + filepath.Base(o.File)
	case o.Type == config.TypeTestCard:
		return "test card"
	}
	return "push"
}
