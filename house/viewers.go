package house

import (
	"log/slog"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/house/delegate"
	"github.com/stream-pump/stream-pump/house/hooks"
	"github.com/stream-pump/stream-pump/house/live"
)

// openViewers begins to send viewers to pumps, and to tell webhooks.
func (h *House) openViewers(cfg *config.House) {
	h.delegator = delegate.New(delegate.Options{
		Fleet: h.fleet, Log: h.log, Remote: h.remote, IDParameter: cfg.IDParameter, Settings: delegation(cfg), Bus: h.store.Bus(),
		Relay: h.relay, House: h.name,
	})
	h.hooks = hooks.New(hooks.Options{Fleet: h.fleet, House: h.name, Log: h.log, Hooks: webhooks(cfg), Leads: h.leads.Load})
}

// setViewers puts a new configuration in force.
func (h *House) setViewers(cfg *config.House) {
	h.delegator.Set(delegation(cfg))
	h.relay.Set(relaying(cfg))
	if err := h.embed(cfg); err != nil {
		h.log.Error("viewers whose players follow no redirect are not served", slog.Any("error", err))
	}
	h.hooks.Set(webhooks(cfg))
}

func (h *House) closeViewers() {
	if h.delegator != nil {
		h.delegator.Close()
	}
	if h.hooks != nil {
		h.hooks.Close()
	}
}

func delegation(cfg *config.House) delegate.Settings {
	return delegate.Settings{Fallback: cfg.FallbackURL}
}

func webhooks(cfg *config.House) []hooks.Hook {
	var list []hooks.Hook
	for _, w := range cfg.Webhooks {
		k := hooks.Hook{URL: w.URL, Secret: w.Secret}
		for _, e := range w.Events {
			k.Events = append(k.Events, live.Kind(e))
		}
		list = append(list, k)
	}
	return list
}

// Delegator returns what sends viewers to pumps.
func (h *House) Delegator() *delegate.Delegator { return h.delegator }

// Hooks returns what tells webhooks.
func (h *House) Hooks() *hooks.Sender { return h.hooks }
