package main

import (
	"github.com/stream-pump/stream-pump/house"
	"github.com/stream-pump/stream-pump/house/relay"
	"github.com/stream-pump/stream-pump/pump"
)

// embed starts the pump within the house.
func embed(e house.Embedding) (relay.Pump, error) {
	p, err := pump.StartInside(pump.Inside{ID: e.ID, Dial: e.Dial, Roots: e.Roots, Log: e.Log, Version: e.Version})
	if err != nil {
		return nil, err // not a nil pump in an interface
	}
	return p, nil
}
