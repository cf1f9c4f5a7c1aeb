package pump

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/ingest"
	"github.com/stream-pump/stream-pump/telemetry"
)

// sourcesOf returns what is asked for a stream, in order of preference; pushFirst tells
// that encoders come before all of them.
func (p *Pump) sourcesOf(c config.Stream, whole *config.Config) (list []ingest.Source, pushFirst bool, err error) {
	pushFirst = c.Type == config.TypePush
	for i, o := range c.AllSources() {
		switch o.Type {
		case config.TypePush:
			pushFirst = pushFirst || i == 0
		case config.TypeFileLoop:
			list = append(list, ingest.NewFile(o.File))
		case config.TypeTestCard:
			list = append(list, ingest.NewTestCard())
		case config.TypePull:
			pull, err := ingest.NewPull(ingest.PullOptions{
				URL: sourceURL(o), User: o.User, Password: o.Password, Proxy: proxyOf(c, whole),
				Timeout: whole.Pull.Timeout.D(), Log: p.events,
			})
			if err != nil {
				return nil, false, fmt.Errorf("stream %s: %w", c.Path, err)
			}
			list = append(list, pull)
		}
	}
	return list, pushFirst, nil
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
