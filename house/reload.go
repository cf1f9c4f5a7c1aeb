package house

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/config"
)

// What keeps a reload from being done.
var (
	ErrNoConfiguration = errors.New("there is no configuration file to read again")
	ErrNeedsRestart    = errors.New("the new configuration changes what cannot change at run time")
)

// Reload reads the configuration and the roster file again and applies what has changed. On
// any error nothing changes.
func (h *House) Reload(ctx context.Context) error {
	if h.opts.Load == nil {
		return ErrNoConfiguration
	}
	h.reloading.Lock()
	defer h.reloading.Unlock()
	next, err := h.opts.Load()
	if err != nil {
		return err
	}
	changes := config.DiffHouse(h.cfg.Load(), next)
	var refused []string
	for _, c := range changes {
		if c.Effect == config.EffectRestart {
			refused = append(refused, c.Key)
		}
	}
	if len(refused) > 0 {
		return fmt.Errorf("%w: %s; nothing was changed", ErrNeedsRestart, strings.Join(refused, ", "))
	}
	if h.tls != nil {
		if err := h.tls.load(next); err != nil {
			return err
		}
	}
	ctx, cancel := request(ctx)
	defer cancel()
	if err := h.seed(ctx, next); err != nil {
		return err
	}
	h.cfg.Store(next)
	h.proxies.Store(access.NewProxies(next.TrustedProxies...))
	h.setViewers(next)
	h.setLevel(next)
	for _, c := range changes {
		h.log.Info("changed", slog.String("what", c.String()))
	}
	h.gate.Changed()
	return nil
}
