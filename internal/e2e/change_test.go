package e2e

import (
	"path/filepath"
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
	ffmpeg := startFFmpeg(t, pump.MMSH("push"), longWatch)
	vlc := startVLC(t, pump.MMSH("push"), "--play-and-exit")
	type outcome struct {
		Result
		err error
	}
	watched := make(chan outcome, 1)
	go func() {
		r, err := watchVLC(vlc, filepath.Join(vlc.cmd.Dir, vlcSocket), longWatch)
		watched <- outcome{r, err}
	}()
	pump.waitViewers(t, "push", 3)
	pump.waitPackets(t, "push", packetsIn(onTheAir))

	before.kill()
	pump.WaitState(t, "push", "connecting", 5*time.Second)
	changed := time.Since(ffmpeg.began)
	PumpPush(t, wide, pump.PushURL("push"), true)
	pump.WaitState(t, "push", "live", 5*time.Second)
	again := audience(t, pump.MMSH("push"))

	r := ffmpeg.wait(t, longWatch+30*time.Second)
	r.CheckAfter(t, changed, 8*time.Second)
	w := <-watched
	switch {
	case w.err == nil:
		w.CheckAfter(t, changed+8*time.Second, 3*time.Second)
	case vlc.ended(5 * time.Second):
		t.Logf("VLC ended by itself; its last picture came %v after the change", (w.Video[len(w.Video)-1].at - changed).Round(time.Millisecond))
		if vlc.err != nil {
			t.Errorf("VLC: %v", vlc.err)
		}
	default:
		t.Errorf("VLC neither plays nor ends: %v", w.err)
	}
	again()
	checkChange(t, end())
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
