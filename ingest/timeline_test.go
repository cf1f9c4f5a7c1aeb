package ingest

import "testing"

// The distance at which a source that comes back goes on is that of its packets, also when it sent them in bursts:
// several at the same time, then none for a while.
func TestTimelineStep(t *testing.T) {
	tests := []struct {
		name     string
		distance func(i int) uint32 // ms, to packet i from the one before
		packets  int
		min, max uint32
	}{
		{"even", func(int) uint32 { return 40 }, 100, 39, 41},
		{"one packet", func(int) uint32 { return 40 }, 1, 1, 1},
		{"in pairs", func(i int) uint32 { return uint32(i%2) * 80 }, 100, 30, 50},
		{"in fours, a few", func(i int) uint32 { return uint32(i%4) / 3 * 160 }, 20, 10, 70},
		{"many at first", func(i int) uint32 { return uint32(min(i/12, 1)) * 40 }, 200, 39, 41},
		{"fewer at first", func(i int) uint32 { return 2000 - uint32(min(i/8, 1))*1960 }, 200, 39, 41},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tl, send := NewTimeline(), uint32(1000)
			for i := range tt.packets {
				if i > 0 {
					send += tt.distance(i)
				}
				tl.advance(send, 0)
			}
			if got := tl.step(); got < tt.min || got > tt.max {
				t.Errorf("step of %d ms, want %d to %d", got, tt.min, tt.max)
			}
		})
	}
}
