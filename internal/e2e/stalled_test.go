package e2e

import (
	"testing"
	"time"
)

// Viewers that take nothing cost the others nothing, whichever way the bytes go out.
func TestStalledViewers(t *testing.T) {
	if testing.Short() {
		t.Skip("takes its time; left out with -short")
	}
	t.Parallel()
	for _, egress := range []string{"auto", "writev"} {
		t.Run(egress, func(t *testing.T) {
			t.Parallel()
			pump := Pump(t, "egress: "+egress+"\nstreams:\n  - {name: Card, type: test_card, path: card}")
			pump.WaitState(t, "card", "live", 10*time.Second)
			for range 4 {
				v, err := joinRaw(pump.Port, "card", false)
				if err != nil {
					t.Fatal(err)
				}
				defer v.close() // and it has read nothing but the head of the reply
			}
			ends := []func() []rawFrame{onlooker(t, pump, "card"), onlooker(t, pump, "card"), onlooker(t, pump, "card")}
			const packets = 600 // 17 seconds: more than buffers hold
			pump.waitPackets(t, "card", packets)
			for _, end := range ends {
				frames := end()
				checkUnbroken(t, frames)
				if len(frames) < packets*9/10 {
					t.Errorf("an onlooker got %d of %d packets", len(frames), packets)
				}
				for i := range frames[1:] {
					if pause := frames[i+1].at - frames[i].at; pause > maxStall {
						t.Errorf("the onlooker waited %v for packet %d", pause, i+1)
					}
				}
			}
		})
	}
}
