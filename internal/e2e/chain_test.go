package e2e

import (
	"bytes"
	"fmt"
	"testing"
	"time"
)

// Three pumps in a row, the first fed by every encoder there is: the players see the same as at the first pump,
// and so does who compares the bytes.
func TestEncodersAndChain(t *testing.T) {
	file := MakeMedia(t, smallMedia)
	t.Parallel()
	first := Pump(t, `
streams:
  - {name: Own, type: mmsh_push, path: own}
  - {name: FFmpeg plain, type: mmsh_push, path: plain}
  - {name: FFmpeg framed, type: mmsh_push, path: framed}`)
	PumpPush(t, file, first.PushURL("own"), true)
	FFmpegPush(t, file, first.PushURL("plain"), "asf")
	FFmpegPush(t, file, first.PushURL("framed"), "asf_stream")
	pull := "streams:\n  - {name: From above, type: mmsh_pull, path: own, source_options: {url: '%s'}}"
	second := Pump(t, fmt.Sprintf(pull, first.MMSH("own")))
	third := Pump(t, fmt.Sprintf(pull, second.MMSH("own")))
	for _, path := range []string{"own", "plain", "framed"} {
		first.WaitState(t, path, "live", 10*time.Second)
	}
	third.WaitState(t, "own", "live", 15*time.Second)

	var checks []func()
	for _, url := range []string{first.MMSH("own"), first.MMSH("plain"), first.MMSH("framed"), third.MMSH("own")} {
		checks = append(checks, audience(t, url))
	}
	t.Run("raw packets", func(t *testing.T) { compareEnds(t, first, third) })
	for _, check := range checks {
		check()
	}
}

// compareEnds lets a viewer of the first pump and one of the last take in 100 packets that both got, with key frames
// among them.
func compareEnds(t *testing.T, first, last *PumpProc) {
	const packets = 300 // as they overlap: both begin at a key frame near the live edge
	seen := make(chan []rawFrame, 2)
	for _, pump := range []*PumpProc{first, last} {
		go func() {
			seen <- watchRaw(t, pump.Port, "own", false, 30*time.Second, func(f []rawFrame) bool { return len(f) > packets })
		}()
	}
	above, below := <-seen, <-seen
	if len(above) <= packets || len(below) <= packets {
		return
	}
	if above[0].kind != 'H' || !bytes.Equal(above[0].payload, below[0].payload) {
		t.Errorf("the headers differ: %d and %d bytes", len(above[0].payload), len(below[0].payload))
	}
	keyFrame := keyFrames(t, above[0].payload)
	byLocation := map[uint32][]byte{}
	for i, f := range above[1:] {
		if i > 0 && f.location != above[i].location+1 {
			t.Errorf("LocationId %d comes after %d", f.location, above[i].location)
		}
		byLocation[f.location] = f.payload
	}
	common, keys := 0, 0
	for _, f := range below[1:] {
		packet, ok := byLocation[f.location]
		if !ok {
			continue
		}
		common++
		if !bytes.Equal(packet, f.payload) {
			t.Errorf("the packets with LocationId %d differ", f.location)
		}
		if keyFrame(f) {
			keys++
		}
	}
	t.Logf("%d packets in common, %d of them begin a key frame, LocationIds %d to %d", common, keys, above[1].location, above[packets].location)
	if common < 100 || keys < 2 {
		t.Errorf("only %d packets in common, %d of them begin a key frame", common, keys)
	}
	for name, frames := range map[string][]rawFrame{"first": above, "last": below} {
		if !keyFrame(frames[1]) {
			t.Errorf("what the %s pump's viewer gets first does not begin a key frame", name)
		}
	}
}
