package delegate

import (
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/house/roster"
)

// Three houses that know of each other send viewers to one pump at the same time, before they can have heard whom the
// others sent. However it falls out, no more than one in a hundred too many are sent; and in the end the pump is full.
func TestHousesShareWhatIsLeft(t *testing.T) {
	const limit = 300
	w := newWorld(t, func(p *roster.Pump) { p.MaxViewers = limit }, "a")
	bus := &testBus{}
	var houses []*Delegator
	for range 3 {
		houses = append(houses, w.delegator(func(o *Options) { o.Bus = bus }))
	}
	deadline := time.Now().Add(30 * time.Second)
	for _, d := range houses {
		for d.seats.sharing.houses.Load() != 3 {
			if time.Now().After(deadline) {
				t.Fatal("the houses do not find each other")
			}
			time.Sleep(time.Millisecond)
		}
	}
	sent := 0
	for i := 0; sent < limit; i++ {
		if houses[i%3].pump(t, addr(i), enter) == "a" {
			sent++
		} else {
			time.Sleep(time.Millisecond) // they are told of each other's
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d are sent", sent, limit)
		}
	}
	for i := range 300 {
		if houses[i%3].pump(t, addr(100_000+i), enter) == "a" {
			sent++
		}
	}
	if sent > limit*101/100 {
		t.Errorf("%d were sent to a pump of %d", sent, limit)
	}
}

// A house that is not there any more takes nothing of the others' shares.
func TestWhoIsGoneHasNoShare(t *testing.T) {
	w := newWorld(t, func(p *roster.Pump) { p.MaxViewers = 10 }, "a")
	bus := &testBus{}
	one := w.delegator(func(o *Options) { o.Bus = bus })
	two := newBetween(bus, 77, one.log, &sharing{})
	two.tell(nil, time.Now()) // it says that it is there, and never again
	deadline := time.Now().Add(30 * time.Second)
	for i, sent := 0, 0; sent < 10; i++ {
		if one.pump(t, addr(i), enter) == "a" {
			sent++
		} else {
			time.Sleep(time.Millisecond)
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of 10 are sent", sent)
		}
	}
}
