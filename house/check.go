package house

import (
	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/house/roster"
)

// CheckRoster reads the roster that a configuration names, and runs its expectations. What is
// wrong comes as [config.Problems]. It returns how many pumps and expectations there are.
func CheckRoster(cfg *config.House) (pumps, expectations int, err error) {
	if cfg.PumpsRosterJSON == "" {
		return 0, 0, nil
	}
	f, err := roster.Check(cfg.PumpsRosterJSON)
	if err != nil {
		return 0, 0, err
	}
	return len(f.Roster.Pumps), len(f.Roster.Expectations), nil
}
