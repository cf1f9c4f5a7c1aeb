package soak

import (
	"testing"
	"time"
)

var (
	shortFleet = size{round: 3 * time.Second, viewers: 24, vandals: 2}
	longFleet  = size{round: 30 * time.Second, viewers: 120, vandals: 6}
)

// fleetStanding is what a house holds, and the pump at the top.
type fleetStanding struct {
	goroutines, files, listeners, places, viewers, packets int
	memory, heap                                           int // bytes; what was in use at the last collection, by GOGC=25
	pumpGoroutines, pumpFiles, pumpSlabs, pumpHeap         int
	collected                                              int // when the house's collector last came, in ms
}

func (h *household) look(t *testing.T) (s fleetStanding, calm bool) {
	t.Helper()
	f := readFigures(t, h.client, h.url("/metrics"))
	p := readFigures(t, h.client, (&pump{admin: h.topAdmin}).adminURL("/metrics"))
	s = fleetStanding{
		goroutines: f.of(t, "go_goroutines"), files: f.of(t, "process_open_fds"), listeners: f.of(t, "pump_house_listeners"),
		places: f.of(t, "pump_house_places_awaited"), viewers: f.of(t, "pump_house_fleet_known_viewers"), packets: f.of(t, "pump_house_relayed_packets"),
		memory: f.of(t, "process_resident_memory_bytes"), heap: f.of(t, "go_memstats_next_gc_bytes") * 4 / 5,
		pumpGoroutines: p.of(t, "go_goroutines"), pumpFiles: p.of(t, "process_open_fds"), pumpSlabs: p.of(t, "stream_pump_slabs_live"),
		pumpHeap: p.of(t, "go_memstats_next_gc_bytes") * 4 / 5, collected: int(f["go_memstats_last_gc_time_seconds"] * 1000),
	}
	calm = f.of(t, "pump_house_fleet_pumps") == len(pumpIDs) && f.of(t, "pump_house_fleet_pumps_up") == len(pumpIDs) &&
		f.of(t, "pump_house_fleet_viewers") == 0 && f.of(t, "pump_house_fleet_links") == links && s.viewers == links &&
		f.of(t, "pump_house_relayed_viewers") == 0 && f.of(t, "pump_house_webhook_waiting") == 0
	return s, calm
}

// links are the streams that the pumps below get from the one at the top.
const links = 4

// bound is how much of something there may be.
type bound struct {
	what  string
	of    func(*fleetStanding) int
	spare int // more than after the first round that is no leak: a request or two, what the collector has not given back
}

var fleetBounds = []bound{
	{"goroutines of the house", func(s *fleetStanding) int { return s.goroutines }, 8},
	{"descriptors of the house", func(s *fleetStanding) int { return s.files }, 8},
	{"who listens to the house", func(s *fleetStanding) int { return s.listeners }, 0},
	{"viewers that the house knows", func(s *fleetStanding) int { return s.viewers }, 0},
	{"packets in the house", func(s *fleetStanding) int { return s.packets }, 0},
	{"bytes of the house's memory", func(s *fleetStanding) int { return s.memory }, 32 << 20},
	{"bytes of the house's heap", func(s *fleetStanding) int { return s.heap }, 8 << 20},
	{"goroutines of the pump", func(s *fleetStanding) int { return s.pumpGoroutines }, 4},
	{"descriptors of the pump", func(s *fleetStanding) int { return s.pumpFiles }, 6},
	{"packets in the pump", func(s *fleetStanding) int { return s.pumpSlabs }, 60},
	{"bytes of the pump's heap", func(s *fleetStanding) int { return s.pumpHeap }, 4 << 20},
}

// quiet waits until everybody is forgotten, and reads the figures: memory when the collector has come twice, or after so long.
func (h *household) quiet(t *testing.T, long time.Duration) (s fleetStanding) {
	t.Helper()
	eventually(t, 2*time.Minute, "everybody is forgotten", func() (calm bool) {
		s, calm = h.look(t)
		return calm && s.packets == 0
	})
	least, came := s, map[int]bool{s.collected: true}
	for end := time.Now().Add(long); len(came) < 3 && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		s, _ = h.look(t)
		came[s.collected] = true
		least.memory, least.heap, least.pumpHeap = min(least.memory, s.memory), min(least.heap, s.heap), min(least.pumpHeap, s.pumpHeap)
	}
	s.memory, s.heap, s.pumpHeap = least.memory, least.heap, least.pumpHeap
	return s
}

// A day of a house in minutes: viewers that are sent on, served by itself, or never arrive; pages that follow it; log-ins
// and log-outs; rosters, streams and tokens that come and go; kicks; pumps that are killed; a slow webhook; and clients that do
// everything wrong. Then the house is what it was, and so is the pump at the top.
func TestSoakHouse(t *testing.T) {
	if testing.Short() {
		t.Skip("takes its time; left out with -short")
	}
	s, rounds := shortFleet, 1
	if *length > 0 {
		s, rounds = longFleet, max(1, int(*length/longFleet.round))
	}
	c := &fleetChurn{household: newHousehold(t)}
	c.vandals.port, c.vandals.tls = c.port, c.tls
	if *length > 0 {
		c.acquaint(t, 25_000)
	}
	c.round(t, s) // fills what is kept on purpose
	first := c.quiet(t, s.round/2)
	t.Logf("%-5s %7s %7s %7s %6s %7s %7s %7s %6s %6s %8s | %5s %5s %6s %6s %9s %9s | %5s %5s %6s %9s", "round", "joins", "relayed", "sent on", "pages", "logouts",
		"changes", "webhook", "kicked", "killed", "vandals", "gorou", "files", "listen", "places", "RSS KiB", "heap KiB", "gorou", "files", "slabs", "heap KiB")
	tell := func(n int, at *fleetStanding) {
		t.Logf("%-5d %7d %7d %7d %6d %7d %7d %7d %6d %6d %8d | %5d %5d %6d %6d %9d %9d | %5d %5d %6d %9d", n, c.joins.Load(), c.relayed.Load(), c.asked.Load(), c.pages.Load(), c.logouts.Load(),
			c.changes.Load(), c.hook.got.Load(), c.kicked.Load(), c.killed.Load(), c.vandals.done.Load(), at.goroutines, at.files, at.listeners, at.places, at.memory>>10, at.heap>>10,
			at.pumpGoroutines, at.pumpFiles, at.pumpSlabs, at.pumpHeap>>10)
	}
	tell(0, &first)
	var last fleetStanding
	for n := range rounds {
		c.round(t, s)
		last = c.quiet(t, s.round/2)
		tell(n+1, &last)
	}
	for name, n := range map[string]int64{
		"viewers who were sent on": c.joins.Load(), "viewers whom the house served": c.relayed.Load(), "pages": c.pages.Load(),
		"changes": c.changes.Load(), "words to the webhook": c.hook.got.Load(), "pumps that were killed": c.killed.Load(),
	} {
		if n == 0 {
			t.Errorf("there were no %s", name)
		}
	}
	c.back(t, first)
}

// back waits until there is no more of anything than at the beginning: what has leaked never comes back, and a slow machine
// may take its time with the rest.
func (h *household) back(t *testing.T, first fleetStanding) {
	t.Helper()
	end := time.Now().Add(time.Minute)
	for {
		now, _ := h.look(t)
		var over []bound
		for _, b := range fleetBounds {
			if b.of(&now) > b.of(&first)+b.spare {
				over = append(over, b)
			}
		}
		if len(over) == 0 && now.places == 0 {
			return
		}
		if time.Now().After(end) {
			for _, b := range over {
				t.Errorf("%s: %d after the first round, %d at the end", b.what, b.of(&first), b.of(&now))
			}
			if now.places > 0 {
				t.Errorf("%d places are kept for nobody", now.places)
			}
			return
		}
		time.Sleep(250 * time.Millisecond)
	}
}
