package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// GStreamer plays plain ASF over HTTP, in time, and ends in order when it has had enough or the stream ends. Debian's has no
// mmssrc, so this is the way in for it.
func TestGStreamerPlaysPlainASF(t *testing.T) {
	need(t)
	const program = "gst-launch-1.0"
	if exec.Command("gst-inspect-1.0", "souphttpsrc").Run() != nil || exec.Command("gst-inspect-1.0", "asfdemux").Run() != nil ||
		exec.Command("gst-inspect-1.0", "avdec_wmv2").Run() != nil {
		t.Skip("GStreamer, or a part of it, is not installed")
	}
	t.Parallel()
	pump := Pump(t, "streams:\n  - {name: Test card, type: test_card, path: card}")
	play := func(pictures, sounds string) *process {
		sink := []string{"!", "fakesink", "sync=true"}
		args := []string{"-q", "souphttpsrc", "location=" + pump.HTTP("card") + ".asf", "!", "asfdemux", "name=d"}
		args = append(append(args, "d.video_0", "!", "queue", "!", "avdec_wmv2"), append(sink, pictures)...)
		args = append(append(args, "d.audio_0", "!", "queue", "!", "avdec_wmav2"), append(sink, sounds)...)
		cmd := exec.Command(program, args...)
		cmd.Env = []string{"HOME=" + filepath.Join(scratch, "gstreamer"), "PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
		return start(t, program, cmd)
	}

	toTheEnd := play("num-buffers=-1", "num-buffers=-1")
	pump.waitViewers(t, "card", 1)
	enough := play("num-buffers=125", "num-buffers=50") // five seconds of pictures
	if !enough.ended(60*time.Second) || enough.err != nil {
		t.Errorf("%s did not play 125 pictures and 50 pieces of sound to their end: %v\n%s", program, enough.err, enough.tail(10))
	}
	pump.Stop(t)
	if !toTheEnd.ended(30*time.Second) || toTheEnd.err != nil {
		t.Errorf("%s has not ended well with the stream: %v\n%s", program, toTheEnd.err, toTheEnd.tail(10))
	}
	enough.kill()
	toTheEnd.kill()
}
