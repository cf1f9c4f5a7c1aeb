package web

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/live"
)

// relaying gives two houses a pump within each, which take studio from pumps of the fleet.
func (p *teller) relaying() {
	p.w.t.Helper()
	for id, from := range map[string]string{"@house-1": "calgary", "@house-2": "ottawa"} {
		if !p.w.fleet.AddHouse(id, id == "@house-1") {
			p.w.t.Fatalf("%s is no house", id)
		}
		viewers := int64(2)
		if id == "@house-2" {
			viewers = 1
		}
		events := []fleet.Event{join(1, "old-player-"+id[len(id)-1:]), join(2, "")}
		b := &fleet.Batch{Pump: id, Boot: boot, Number: 1, First: 1, Events: events[:viewers], State: &fleet.State{
			UptimeS: 60, CPU: 0.1, Processors: 2, Viewers: viewers, ViewersMax: 20, Joined: viewers, InBPS: 1_000_000, OutBPS: viewers * 1_000_000,
			Streams: []fleet.StreamState{{Path: "Studio", State: fleet.StreamLive, Viewers: viewers, BPS: 1_000_000, InBPS: 1_000_000, OutBPS: viewers * 1_000_000, Parent: from}},
		}}
		if err := b.Check(id); err != nil {
			p.w.t.Fatal(err)
		}
		if _, ok := p.w.fleet.Apply(b, live.Direct); !ok {
			p.w.t.Fatalf("no pump %s", id)
		}
	}
}

// Whom houses serve themselves counts like all others: once, though a house is itself a viewer of a pump.
func TestRelayedViewersAreCountedOnce(t *testing.T) {
	w := newWorld(t, nil)
	w.seven()
	p := w.teller()
	p.all()
	p.tell("calgary", 214, 1) // @house-1
	p.tell("ottawa", 41, 3)   // two pumps and @house-2
	p.relaying()
	o := read[Overview](t, w.steer(http.MethodGet, "/api/v1/fleet", ""))
	if o.Totals.Viewers != 656+3 || o.Totals.Relayed != 3 || o.Totals.Links != 8 || o.Totals.Pumps != 7 || o.Totals.Up != 7 || o.Totals.MaxViewers != 2320+2*20 {
		t.Errorf("totals are %+v", o.Totals)
	}
	if calgary := o.Pumps[3]; calgary.Viewers != 214 || calgary.Downstream != 1 {
		t.Errorf("calgary has %d viewers and gives to %d", calgary.Viewers, calgary.Downstream)
	}
	if s := o.Streams[0]; s.Viewers != 659 || s.Relayed != 3 || s.Pumps != 7 {
		t.Errorf("studio is %+v", s)
	}
	if len(o.Relays) != 2 || len(o.Pumps) != 7 {
		t.Fatalf("%d relays, %d pumps", len(o.Relays), len(o.Pumps))
	}
	one := o.Relays[0]
	if one.ID == "@house-2" {
		one = o.Relays[1]
	}
	if one.Title != "house-1 (relay)" || one.Viewers != 2 || one.MaxViewers != 20 || one.State != StateUp || one.Streams[0].Parent != "calgary" {
		t.Errorf("the relay is %+v", one)
	}
	page := w.steer(http.MethodGet, "/metrics", "").body
	for _, want := range []string{"\npump_house_fleet_viewers 659\n", "\npump_house_fleet_relayed_viewers 3\n", "\npump_house_fleet_links 8\n", "\npump_house_fleet_max_viewers 2360\n", "pump_house_stream_viewers{stream=\"studio\"} 659\n", "\npump_house_fleet_pumps 7\n"} {
		if !strings.Contains(page, want) {
			t.Errorf("the metrics lack %q", want)
		}
	}
	f := follower{site: &site{opts: w.opts}}
	f.whole()
	if n := f.next(0).(Figures); n.Totals.Viewers != 659 || n.Totals.MaxViewers != 2360 || len(n.Relays) != 2 {
		t.Errorf("who follows is told %+v", n)
	}
}

// They are found, asked for and cut off like all others; the pump within a house is no pump of the roster.
func TestRelayedViewersAreFoundAndCutOff(t *testing.T) {
	w := newWorld(t, nil)
	w.seven()
	p := w.teller()
	p.all()
	p.relaying()
	c := read[Crowd](t, w.steer(http.MethodGet, "/api/v1/viewers?search=old-player", ""))
	if c.All != 2 || !c.Viewers[0].Relayed || !c.Viewers[1].Relayed {
		t.Errorf("a search finds %+v", c)
	}
	c = read[Crowd](t, w.steer(http.MethodGet, "/api/v1/viewers?pump=@house-1", ""))
	if c.All != 2 || c.Viewers[0].Pump != "@house-1" || c.Viewers[0].Health != "good" {
		t.Errorf("at the house itself: %+v", c)
	}
	for _, path := range []string{"/api/v1/viewers/@house-1/2", "/api/v1/viewers/%40house-1/2", "/api/v1/clients/old-player-1"} {
		if r := w.steer(http.MethodGet, path, ""); r.status != http.StatusOK || !strings.Contains(r.body, `"pump":"@house-1"`) || !strings.Contains(r.body, `"relayed":true`) {
			t.Errorf("GET %s: %d %s", path, r.status, r.body)
		}
	}
	for path, want := range map[string]string{
		"/api/v1/viewers/@house-1/2":   "kick (kicked by anna) @house-1 [2] []",
		"/api/v1/clients/old-player-2": "kick (kicked by anna) @house-2 [] [old-player-2]",
	} {
		r := w.steer(http.MethodDelete, path, "")
		if r.status != http.StatusOK || !strings.Contains(w.desk.done(), want) {
			t.Errorf("DELETE %s: %d %s; the pumps were told %s", path, r.status, r.body, w.desk.done())
		}
		if k := read[Kicked](t, r); len(k.Viewers) != 1 || !k.Viewers[0].Relayed {
			t.Errorf("cut off: %+v", k)
		}
	}
	for path, body := range map[string]string{"/api/v1/pumps/@house-1/draining": `{"draining": true}`, "/api/v1/pumps/@house-1/networks": `[]`, "/api/v1/pumps/@house-1": `{}`} {
		if r := w.steer(http.MethodPut, path, body); r.status != http.StatusNotFound && r.status != http.StatusUnprocessableEntity {
			t.Errorf("PUT %s: %d %s", path, r.status, r.body)
		}
	}
}
