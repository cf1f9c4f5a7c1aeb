package house

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/stream-pump/stream-pump/house/store"
)

// Houses of one fleet are told apart by their names: their own pumps, their users and what they tell each other
// go by them. Two with one name would each undo what the other does, and look like one that flaps.

// claimant is who holds the lease of a house's name.
type claimant struct {
	Host  string    `json:"host"`
	Data  string    `json:"data"` // folder
	Since time.Time `json:"since"`
	Run   string    `json:"run"` // random
}

func (h *House) claimant() []byte {
	host, _ := os.Hostname() // it is a help, no more
	text, _ := json.Marshal(claimant{Host: host, Data: h.cfg.Load().Data, Since: h.since, Run: h.run})
	return text
}

func (c claimant) String() string {
	if c.Host == "" {
		return "elsewhere"
	}
	return fmt.Sprintf("at %s with the data folder %s, since %s", c.Host, c.Data, c.Since.Format(time.DateTime))
}

// ErrName says that another house of the fleet has this house's name.
var ErrName = errors.New("another house has this name")

// claimWithin is how long the name of a house that was killed may be held still.
const claimWithin = 2 * store.LeaseFor

// claim takes this house's name, nil if the store cannot say now whose it is; then [House.attend] goes on trying. That of a house
// which was killed, this one perhaps, is free after store.LeaseFor.
func (h *House) claim(ctx context.Context) (store.Lease, error) {
	for began, waits := time.Now(), false; ; {
		l, err := h.store.Acquire(ctx, leaseOf(h.name), h.claimant())
		switch {
		case err == nil:
			return l, nil
		case !errors.Is(err, store.ErrHeld):
			h.log.Warn("whether another house has this name cannot be told now", slog.String("name", h.name), slog.Any("error", err))
			return nil, nil
		case time.Since(began) > claimWithin:
			return nil, h.nameTaken(ctx) // nil: an answer was lost, and the lease is this house's own
		case !waits:
			waits = true
			h.log.Info("the name is held still; it is waited for, as for that of a house that was killed", slog.String("name", h.name), slog.String("within", claimWithin.String()))
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the name %s: %w", h.name, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// nameTaken tells who else has the name, nil if nobody has.
func (h *House) nameTaken(ctx context.Context) error {
	leases, err := h.store.Leases(ctx)
	text, held := leases[leaseOf(h.name)]
	var c claimant
	_ = json.Unmarshal(text, &c) // an older house says less
	if err == nil && !held || held && c.Run == h.run {
		return nil
	}
	return fmt.Errorf("%w: %q runs %s; each house needs a name of its own: set `name`, or end the other one", ErrName, h.name, c)
}

func leaseOf(name string) string { return "house." + name }
