package e2e

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// A pump that has run for a minute: players watch a short file go round and notice neither its seam nor a reload, and
// whoever joins late sees a picture at once.
func TestLongRunning(t *testing.T) {
	short, small := MakeMedia(t, shortMedia), MakeMedia(t, smallMedia)
	t.Parallel()
	config := fmt.Sprintf(`
streams:
  - {name: Card, type: test_card, path: card}
  - {name: Loop, type: file_loop, path: loop, file: %s}
  - {name: Push, type: mmsh_push, path: push}`, short)
	pump := Pump(t, config)
	PumpPush(t, small, pump.PushURL("push"), true)
	for _, path := range []string{"card", "loop", "push"} {
		pump.WaitState(t, path, "live", 10*time.Second)
	}

	const roundTime = 20 * time.Second // three seams of the loop
	ffmpeg, vlc := StartFFmpegPlay(t, pump.MMSH("loop"), roundTime), StartVLCPlay(t, pump.MMSH("loop"), roundTime)
	pump.waitViewers(t, "loop", 2)
	for range 3 {
		pump.Rewrite(t, config+"\n  - {name: Another, type: test_card, path: another}\nlag: {max: 9s}\npulse: {min: 20ms}")
		pump.Reload(t)
		pump.WaitState(t, "another", "live", 10*time.Second)
		pump.Rewrite(t, config)
		pump.Reload(t)
		eventually(t, 10*time.Second, "the stream is gone", func() bool { _, ok := pump.Stream(t, "another"); return !ok })
	}
	for _, player := range []func() Result{ffmpeg, vlc} {
		r := player()
		r.CheckFrom(t, r.Settled(), roundTime)
	}

	eventually(t, 70*time.Second, "the streams have been on the air for a minute", func() bool {
		info, _ := pump.Stream(t, "push")
		return info.Uptime >= 60
	})
	for _, path := range []string{"card", "loop", "push"} {
		t.Run("late to "+path, func(t *testing.T) { joinLate(t, pump, path) })
	}
}

// waitViewers waits until so many watch the stream.
func (p *PumpProc) waitViewers(t *testing.T, path string, n int) {
	t.Helper()
	eventually(t, 15*time.Second, fmt.Sprintf("%d watch %s", n, path), func() bool {
		info, _ := p.Stream(t, path)
		return info.Viewers >= n
	})
}

// joinLate measures from before connecting, until the first packet that a decoder can begin with is whole, and until
// FFmpeg, told not to study the stream first, has its first picture decoded. What the pump does, it does each time; what
// the machine adds, it adds now and then: the best of a few tries counts.
func joinLate(t *testing.T, pump *PumpProc, path string) {
	const limit = time.Second
	best := time.Duration(math.MaxInt64)
	for range 5 {
		frames := watchRaw(t, pump.Port, path, false, 10*time.Second, func(f []rawFrame) bool { return len(f) == 2 })
		if len(frames) < 2 {
			return
		}
		if !keyFrames(t, frames[0].payload)(frames[1]) {
			t.Errorf("the first packet, LocationId %d, does not begin a key frame", frames[1].location)
		}
		t.Logf("header after %v, key frame after %v", frames[0].at.Round(time.Microsecond), frames[1].at.Round(time.Microsecond))
		best = min(best, frames[1].at)
	}
	if best > limit {
		t.Errorf("the first key frame came after %v, want %v", best, limit)
	}
	file := MakeMedia(t, shortMedia)
	best = time.Duration(math.MaxInt64)
	for tries := 0; best > limit && tries < 5; tries++ {
		alone := firstPicture(t, file) // what FFmpeg itself takes
		took := firstPicture(t, pump.MMSH(path), "-fflags", "nobuffer", "-probesize", "32", "-analyzeduration", "0")
		t.Logf("ffmpeg has the first picture of the stream after %v, and of a file after %v", took.Round(time.Millisecond), alone.Round(time.Millisecond))
		best = min(best, took-alone)
	}
	if best > limit {
		t.Errorf("ffmpeg has the first picture %v later than that of a file, want %v", best, limit)
	}
}

// firstPicture is how long FFmpeg takes from its start.
func firstPicture(t *testing.T, url string, inputOptions ...string) time.Duration {
	t.Helper()
	f := startFFmpeg(t, url, inputOptions...)
	f.until(t, 0, func(r Result) bool { return len(r.Video) > 0 })
	f.kill()
	f.watching.Wait()
	if r := f.now(); len(r.Video) > 0 {
		return r.Video[0].at
	}
	return math.MaxInt64
}
