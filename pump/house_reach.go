package pump

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/stream-pump/stream-pump/certificate"
	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/fleet"
)

// reachOf reads how the house is reached.
func reachOf(c config.Membership) (fleet.Reach, error) {
	r := fleet.Reach{Houses: slices.Clone(c.URL), Key: string(c.Key)}
	if c.CA == "" {
		return r, nil
	}
	var err error
	if r.Roots, err = certificate.Authorities(c.CA); err != nil {
		return r, fmt.Errorf("reading house.ca: %w", err)
	}
	return r, nil
}

// houseReach returns how the house is to be reached from now on. The file of authorities is read again, since what is in
// it may be new though its name is not. One that only root could read stays as it was read at the start, with a warning.
// The caller holds p.mu.
func (p *Pump) houseReach(own *config.Config) (r fleet.Reach, warnings []string, err error) {
	if p.member == nil {
		return fleet.Reach{}, nil, nil
	}
	if r, err = reachOf(own.House); err == nil {
		return r, nil, nil
	}
	if p.account.Name != "" && errors.Is(err, fs.ErrPermission) && own.House.CA == p.own.House.CA {
		r.Roots = p.member.reach.Roots
		return r, []string{"the authorities in force stay: " + p.explainDenied(err).Error()}, nil
	}
	return r, nil, p.explainDenied(err)
}

// reachHouse goes that way from now on, if it is another one. The house is not asked. The caller holds p.mu.
func (p *Pump) reachHouse(r fleet.Reach) error {
	if p.member == nil || r.Equal(p.member.reach) {
		return nil
	}
	if err := p.member.client.Reach(r); err != nil {
		return err
	}
	p.member.reach = r
	return nil
}
