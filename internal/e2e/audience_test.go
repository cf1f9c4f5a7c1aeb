package e2e

import (
	"testing"
	"time"
)

const (
	// watch is how much players play where nothing happens to the stream.
	watch = 12 * time.Second
	// atLeast is how much has to be decoded without a complaint of a stream that ends.
	atLeast = 10 * time.Second
)

// audience lets FFmpeg and VLC play the address at once, for the time that watch names. The function it returns
// waits and judges them.
func audience(t *testing.T, url string) (check func()) {
	t.Helper()
	ffmpeg, vlc := StartFFmpegPlay(t, url, watch), StartVLCPlay(t, url, watch)
	return func() {
		t.Helper()
		for _, player := range []func() Result{ffmpeg, vlc} {
			r := player()
			r.CheckFrom(t, r.Settled(), watch)
		}
	}
}
