package e2e

import (
	"testing"
	"time"
)

// The encoder stops and another begins, with another header. FFmpeg goes on, though its demuxer does not take up the new
// size of the picture, so that its decoder complains; VLC goes on or ends; nobody hangs, and who starts anew sees the
// new picture.
func TestHeaderChange(t *testing.T) {
	small, wide := MakeMedia(t, smallMedia), MakeMedia(t, wideMedia)
	t.Parallel()
	pump := Pump(t, "streams:\n  - {name: Push, type: mmsh_push, path: push}")
	before := PumpPush(t, small, pump.PushURL("push"), true)
	pump.WaitState(t, "push", "live", 10*time.Second)
	end := onlooker(t, pump, "push")
	ffmpeg := startFFmpeg(t, pump.MMSH("push"))
	vlc := startVLC(t, pump.MMSH("push"), "--play-and-exit")
	pump.waitViewers(t, "push", 3)
	pump.waitPackets(t, "push", packetsIn(onTheAir))

	before.kill()
	pump.WaitState(t, "push", "connecting", 10*time.Second)
	changed := time.Since(ffmpeg.began)
	PumpPush(t, wide, pump.PushURL("push"), true)
	pump.WaitState(t, "push", "live", 15*time.Second)
	again := audience(t, pump.MMSH("push"))

	ffmpeg.until(t, 8*time.Second, lastsAfter(changed, 8*time.Second))
	ffmpeg.leave(t).CheckAfter(t, changed, 8*time.Second)
	checkGoesOnOrEnds(t, vlc, changed)
	again()
	checkChange(t, end())
}

// checkGoesOnOrEnds wants VLC to show more than its buffer held before the change, or to end well.
func checkGoesOnOrEnds(t *testing.T, vlc *player, changed time.Duration) {
	t.Helper()
	held := changed + 8*time.Second
	eventually(t, patience/slack, "VLC plays on, or ends", func() bool {
		select {
		case <-vlc.done:
			return true
		default:
			return lastsAfter(held, 3*time.Second)(vlc.now())
		}
	})
	vlc.kill()
	vlc.watching.Wait()
	if r := vlc.now(); !lastsAfter(held, 3*time.Second)(r) {
		t.Logf("VLC ended by itself; its last picture came %v after the change", (r.Video[len(r.Video)-1].at - changed).Round(time.Millisecond))
		if vlc.err != nil {
			t.Errorf("VLC: %v", vlc.err)
		}
	}
}

// checkChange wants one change, with its header, and data before and after, in numbers that ascend.
func checkChange(t *testing.T, frames []rawFrame) {
	t.Helper()
	kinds := ""
	for i, f := range frames {
		if kinds == "" || kinds[len(kinds)-1] != f.kind {
			kinds += string(f.kind)
		}
		if i > 0 && f.kind == 'D' && frames[i-1].kind == 'H' && !keyFrames(t, frames[i-1].payload)(f) {
			t.Errorf("the first packet behind a header, LocationId %d, does not begin a key frame", f.location)
		}
		if i > 0 && f.kind == 'D' && frames[i-1].kind == 'D' && f.location != frames[i-1].location+1 {
			t.Errorf("LocationId %d comes after %d", f.location, frames[i-1].location)
		}
	}
	if kinds != "HDCHD" {
		t.Errorf("an onlooker saw %s, want HDCHD", kinds)
	}
}
