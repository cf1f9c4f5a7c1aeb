package pump

import (
	"net"
	"path/filepath"
	"strconv"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/ingest"
	"github.com/stream-pump/stream-pump/telemetry"
)

// sourcesOf returns what is asked for a stream, in order of preference; pushFirst tells
// that encoders come before all of them.
func (p *Pump) sourcesOf(c config.Stream, whole *config.Config) (list []ingest.Source, pushFirst bool) {
	for i, o := range c.AllSources() {
		switch o.Type {
		case config.TypePush:
			pushFirst = pushFirst || i == 0
		case config.TypeFileLoop:
			list = append(list, ingest.NewFile(o.File))
		case config.TypeTestCard:
			list = append(list, ingest.NewTestCard())
		}
	}
	return list, pushFirst
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
	case o.Type == config.TypePull && o.URL != "":
		return telemetry.Redact(o.URL)
	case o.Type == config.TypePull:
		return "http://" + net.JoinHostPort(o.Host, strconv.Itoa(o.Port)) + telemetry.Redact(o.Path)
	case o.Type == config.TypeFileLoop:
		return "file " + filepath.Base(o.File)
	case o.Type == config.TypeTestCard:
		return "test card"
	}
	return "push"
}
