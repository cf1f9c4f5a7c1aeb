package house

import (
	"net/http"
	"path/filepath"
	"testing"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/live"
	"github.com/stream-pump/stream-pump/internal/boardtest"
)

// The dashboard of house and fleet asks only for what is there, and can be drawn.
func TestGrafanaDashboard(t *testing.T) {
	dir := t.TempDir()
	writeRoster(t, dir, `[{"id": "ottawa", "max_viewers": 300}]`)
	h := start(t, configured(t, dir, "pumps_roster_json: pumps.json\nstreams: [{path: studio, type: test_card}]\nmetrics: {allow: [127.0.0.1]}\n"))
	b := &fleet.Batch{Pump: "ottawa", Boot: fleet.NewBoot(), Number: 1, First: 1, State: &fleet.State{
		Streams: []fleet.StreamState{{Path: "studio", State: fleet.StreamLive, BPS: 1_000_000}},
	}}
	if _, ok := h.Fleet().Apply(b, live.Direct); !ok {
		t.Fatal("the pump is not known")
	}
	c := client(t, h)
	status, page := get(t, c, "https://"+h.TLSAddr().String()+"/metrics")
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, page)
	}
	boardtest.Check(t, filepath.Join("..", "share", "grafana", "pump-house.json"), page, "pump_house", 40)
}
