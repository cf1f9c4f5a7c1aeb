package pump

import (
	"context"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/house/live"
)

const houseCard = "streams: [{path: card, type: test_card, name: Card}]\n"

// A pump that has nothing but a house gets its streams from there, and tells how it is.
func TestAPumpNeedsNothingButAHouse(t *testing.T) {
	e := newEstate(t, ottawa, houseCard)
	w := newMemberWorld(t, e.member())
	w.awaitLive("card")
	w.eventually("the house knows", func() bool {
		r := e.pump("ottawa").Report()
		return e.pump("ottawa").Up() && e.pump("ottawa").Delivers("card") && r.State.Memory > 0 && r.State.Config != "" && r.State.ConfigFault == ""
	})
	if strings.Contains(w.log.String(), nothingToServe) {
		t.Error("it warned of having no streams before the house could send them")
	}
	v := w.play("card?id=alice")
	v.packets(3)
	var seen *live.Watcher
	w.eventually("the viewer is reported", func() bool {
		list := e.Fleet().ByClient("alice")
		if len(list) == 1 {
			seen = list[0]
		}
		return seen != nil
	})
	if seen.Pump != "ottawa" || seen.Stream != "card" || seen.Address.String() != "127.0.0.1" || seen.Kind != "mmsh" {
		t.Errorf("reported %+v", seen)
	}
	list, err := e.Steering().Inspect(t.Context(), "ottawa", nil, []string{"alice"})
	if err != nil || len(list) != 1 || list[0].Bytes == 0 || list[0].Client != "alice" {
		t.Errorf("inspected %+v, %v", list, err)
	}
	_ = v.conn.Close()
	w.eventually("the leave is reported", func() bool { return e.Fleet().Watching() == 0 })
	gone := e.Fleet().Gone(10)
	if len(gone) != 1 || gone[0].Client != "alice" || gone[0].Bytes == 0 || gone[0].Reason == "" {
		t.Errorf("gone: %+v", gone)
	}
}

func TestTheHouseKicksWithinASecond(t *testing.T) {
	e := newEstate(t, ottawa, houseCard)
	w := newMemberWorld(t, e.member())
	w.awaitLive("card")
	other := w.play("card?id=bob")
	other.packets(1)
	kicks := 0
	for best := time.Hour; best > time.Second; kicks++ { // a busy machine is slow now and then, a slow pump each time
		if kicks == 10 {
			t.Fatalf("it took %v at best", best)
		}
		v := w.play("card?id=alice")
		v.packets(1)
		w.eventually("both are reported", func() bool { return e.Fleet().Watching() == 2 })
		begin := time.Now()
		list, err := e.Steering().Kick(t.Context(), "ottawa", nil, []string{"alice"}, "test")
		if err != nil || len(list) != 1 || list[0].Client != "alice" {
			t.Fatalf("kicked %+v, %v", list, err)
		}
		v.broken()
		best = min(best, time.Since(begin))
		w.eventually("the leave is reported", func() bool { return e.Fleet().Watching() == 1 })
	}
	other.packets(5)
	w.eventually("the leave is reported with its reason", func() bool {
		gone := e.Fleet().Gone(10)
		return len(gone) == kicks && gone[0].Reason == "kicked"
	})
}

// What the house says is in force at once, for limits and streams, and disturbs nobody else.
func TestWhatTheHouseSaysIsInForce(t *testing.T) {
	e := newEstate(t, ottawa, houseCard)
	w := newMemberWorld(t, e.member())
	w.awaitLive("card")
	v := w.play("card")
	v.packets(1)
	p, _, _ := e.Registry().State().Pump("ottawa")
	p.MaxViewers = 1
	if _, err := e.Registry().PutPump(t.Context(), p, 0); err != nil {
		t.Fatal(err)
	}
	w.eventually("the limit is in force", func() bool { return w.inForce.Load().Limits.Viewers == 1 })
	if second := w.play("card"); second.status != 453 {
		t.Errorf("a viewer too many got %d", second.status)
	}
	w.eventually("the refusal is reported", func() bool {
		s := e.pump("ottawa").Report().State
		return s.Refused >= 1 && s.ViewersMax == 1
	})
	e.stream(`{"path": "second", "type": "test_card"}`)
	w.awaitLive("second")
	w.eventually("the house knows of the second", func() bool { return e.pump("ottawa").Delivers("second") })
	if err := e.Registry().DeleteStream(t.Context(), "second", 0); err != nil {
		t.Fatal(err)
	}
	w.eventually("the second is gone", func() bool { return w.registry.Lookup("second") == nil })
	v.packets(3)
}

func TestAddressesThatTheHouseSignsAreChecked(t *testing.T) {
	e := newEstate(t, ottawa, "signing: {keys: [{name: k, secret: 0123456789abcdef0123}]}\nstreams: [{path: card, type: test_card, play: {signed: true}}]\n")
	w := newMemberWorld(t, e.member())
	w.awaitLive("card")
	if v := w.play("card"); v.status != http.StatusForbidden && v.status != http.StatusUnauthorized {
		t.Errorf("without a signature: %d", v.status)
	}
	address, _, err := e.Steering().Sign("card", "carol", time.Hour, netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	v := w.play(strings.TrimPrefix(address, "/streams/"))
	v.packets(1)
	w.eventually("carol is reported", func() bool { return len(e.Fleet().ByClient("carol")) == 1 })
	if v := w.play(strings.Replace(strings.TrimPrefix(address, "/streams/"), "carol", "mallory", 1)); v.status != http.StatusForbidden && v.status != http.StatusUnauthorized {
		t.Errorf("with another's name: %d", v.status)
	}
}

// The house dies and comes back at its address: who watches notices nothing, and the house
// knows again who does, and who has left meanwhile.
func TestAHouseIsAwayForAWhile(t *testing.T) {
	e := newEstate(t, ottawa, houseCard)
	w := newMemberWorld(t, e.member())
	w.awaitLive("card")
	stays, leaves := w.play("card?id=stays"), w.play("card?id=leaves")
	stays.packets(1)
	w.eventually("both are reported", func() bool { return e.Fleet().Watching() == 2 })
	e.House.Close()
	w.eventually("the house is lost", func() bool { return w.member.client.House() == "" })
	_ = leaves.conn.Close()
	comes := w.play("card?id=comes")
	comes.packets(2)
	stays.packets(2)
	e.start()
	w.eventually("the house knows them again", func() bool {
		return len(e.Fleet().ByClient("stays")) == 1 && len(e.Fleet().ByClient("comes")) == 1 && e.Fleet().Watching() == 2
	})
	if n := w.member.journal.Lost(); n != 0 {
		t.Errorf("%d events are lost", n)
	}
	stays.packets(1)
}

// A break of the connection alone loses no join and no leave: the house has them all in order.
func TestABreakLosesNoJoinAndNoLeave(t *testing.T) {
	e := newEstate(t, ottawa, houseCard)
	wire := newWireTo(t, e.at)
	w := newMemberWorld(t, strings.Replace(e.member(), e.at, wire.at, 1))
	w.awaitLive("card")
	sub := e.Fleet().Subscribe(1000, func(k live.Kind) bool { return k == live.ViewerJoined || k == live.ViewerLeft })
	defer sub.Close()
	const each = 20
	for i := range each {
		v := w.play("card")
		_ = v.conn.Close()
		if i == each/2 {
			wire.cut()
		}
	}
	joined, left := 0, 0
	end := time.After(patience)
	for joined < each || left < each {
		select {
		case h := <-sub.C:
			if h.Kind == live.ViewerJoined {
				joined++
			} else {
				left++
			}
		case <-end:
			t.Fatalf("%d joins and %d leaves of %d", joined, left, each)
		}
	}
}

// Without a house a pump starts with what it heard last.
func TestAPumpStartsWithoutItsHouse(t *testing.T) {
	e := newEstate(t, ottawa, houseCard)
	first := newMemberWorld(t, e.member())
	first.awaitLive("card")
	first.eventually("it is kept", func() bool {
		_, ok, err := first.member.cache.Config("ottawa")
		return ok && err == nil
	})
	stop(t, first)
	e.House.Close()
	second := newMemberWorld(t, e.member())
	second.awaitLive("card")
	second.play("card").packets(2)
	file := filepath.Join(e.dir, "cache", configFile)
	for _, name := range []string{filepath.Dir(file), file} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	e.start()
	second.eventually("the house knows it again", func() bool { return e.pump("ottawa").Delivers("card") })
}

func stop(t *testing.T, w *world) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := w.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// When a pump ends, the house hears that everybody left.
func TestTheLastWordsOfAPump(t *testing.T) {
	e := newEstate(t, ottawa, houseCard)
	w := newMemberWorld(t, e.member())
	w.awaitLive("card")
	v := w.play("card?id=alice")
	v.packets(1)
	w.eventually("alice is reported", func() bool { return e.Fleet().Watching() == 1 })
	stop(t, w)
	w.eventually("her leave is reported", func() bool {
		gone := e.Fleet().Gone(10)
		return len(gone) == 1 && slices.Contains([]string{"ended", "drained", "stream ended"}, gone[0].Reason)
	})
}
