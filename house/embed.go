package house

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/gate"
	"github.com/stream-pump/stream-pump/house/relay"
)

// Embedding is what the pump within the house is made with.
type Embedding struct {
	ID      string                                  // its id in the fleet
	Dial    func(context.Context) (net.Conn, error) // to the house, as a pump speaks to it
	Roots   *x509.CertPool                          // of pumps behind TLS: the system's, the house's own authority, and relay.ca
	Log     *slog.Logger
	Version string
}

// openRelay makes what looks after the pump within the house, before there is one.
func (h *House) openRelay(cfg *config.House) {
	h.relay = relay.New(relay.Options{
		Choose:  func(stream string, have []relay.Source) []relay.Source { return h.delegator.Upstreams(stream, have) },
		Alone:   h.alone,
		Changed: func() { h.gate.Wake(fleet.HouseID(h.name)) },
		Log:     h.log, Settings: relaying(cfg),
	})
	if h.opts.Embed != nil {
		h.fleet.AddHouse(fleet.HouseID(h.name), true)
	}
}

// own is the pump within the house as the gate knows it.
func (h *House) own() *gate.Own {
	if h.opts.Embed == nil {
		return nil
	}
	return &gate.Own{ID: fleet.HouseID(h.name), Limits: h.relay.Limits, Streams: func() map[string][]gate.Parent {
		m := map[string][]gate.Parent{}
		for key, list := range h.relay.Streams() {
			m[key] = nil
			for _, s := range list {
				m[key] = append(m[key], gate.Parent{ID: s.Pump, URL: s.URL})
			}
		}
		return m
	}}
}

// alone tells whether a stream can be had without any pump.
func (h *House) alone(stream string) bool {
	s, ok := h.registry.State().Stream(stream)
	return ok && !h.delegator.AnyUp() && len(gate.Original(s.Config)) > 0
}

// embed starts the pump within the house, unless it is there or not wanted.
func (h *House) embed(cfg *config.House) error {
	if h.opts.Embed == nil || cfg.Relay.Viewers == 0 || h.within != nil {
		return nil
	}
	roots, err := h.rootsOfRelay(cfg.Relay.CA)
	if err != nil {
		return err
	}
	ln := newInside()
	h.within = &http.Server{Handler: h.gate.Inside(), ReadHeaderTimeout: headWithin, ErrorLog: h.server.ErrorLog}
	h.serve(ln, h.within)
	pump, err := h.opts.Embed(Embedding{
		ID: fleet.HouseID(h.name), Dial: ln.Dial, Roots: roots, Version: h.opts.Version, Log: h.log.With(slog.String("in", "relay")),
	})
	if err != nil {
		_ = h.within.Close()
		h.within = nil
		return fmt.Errorf("starting the pump within the house: %w", err)
	}
	h.relay.Start(pump)
	return nil
}

// rootsOfRelay are the authorities that pumps behind TLS may have their certificates of.
func (h *House) rootsOfRelay(file string) (*x509.CertPool, error) {
	roots, err := x509.SystemCertPool()
	if err != nil { // then there are none
		roots = x509.NewCertPool()
	}
	roots.AppendCertsFromPEM(h.registry.State().Authority.PEM())
	if file == "" {
		return roots, nil
	}
	if err := addTo(roots, file); err != nil {
		return nil, fmt.Errorf("relay.ca: %w", err)
	}
	return roots, nil
}

// closeRelay ends every viewing within the house; ctx bounds how long that may take.
func (h *House) closeRelay(ctx context.Context) (err error) {
	if h.relay != nil {
		err = h.relay.Stop(ctx)
	}
	if h.within != nil {
		_ = h.within.Close() // its only client is gone
	}
	return err
}

func relaying(cfg *config.House) relay.Settings {
	return relay.Settings{Viewers: cfg.Relay.Viewers, Bandwidth: int64(cfg.Relay.Bandwidth), Linger: cfg.Relay.Linger.D()}
}
