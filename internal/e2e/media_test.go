package e2e

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// media is a kind of test picture; MakeMedia encodes it as WMV2 and WMA, which every player here decodes.
type media struct {
	name       string
	size       string // WxH
	videoRate  string // bit/s, as FFmpeg spells it
	packetSize int    // bytes
	seconds    int
}

var (
	// smallMedia is what an encoder on a thin line sends: 350 kbit/s in packets that fit an Ethernet frame.
	smallMedia = media{"small", "320x240", "300k", 1400, 90}
	// largeMedia has another header and other packets than smallMedia, and more of them: 1 Mbit/s.
	largeMedia = media{"large", "640x360", "950k", 3200, 60}
	// shortMedia ends soon.
	shortMedia = media{"short", "320x240", "300k", 1400, 6}
	// wideMedia has another picture than smallMedia in packets of the same size.
	wideMedia = media{"wide", "480x272", "300k", 1400, 60}
)

// What all test media and the test card have in common.
const (
	frameRate   = 25   // pictures a second
	audioBlock  = 2048 // samples in one WMA block, at all rates above 22,050 Hz
	keyInterval = 25   // pictures from one key frame to the next
)

var made struct {
	sync.Mutex
	files map[string]string
}

// MakeMedia returns the path of an ASF file of the kind, which is encoded once per test run. Encoding takes
// the whole machine for a moment: call it before t.Parallel, while no other test keeps time.
func MakeMedia(t *testing.T, kind media) string {
	t.Helper()
	need(t, "ffmpeg")
	made.Lock()
	defer made.Unlock()
	if path, ok := made.files[kind.name]; ok {
		return path
	}
	path := filepath.Join(scratch, kind.name+".asf")
	if out, err := exec.CommandContext(t.Context(), "ffmpeg", kind.args(path)...).CombinedOutput(); err != nil {
		t.Fatalf("encoding %s: %v\n%s", kind.name, err, out)
	}
	if made.files == nil {
		made.files = map[string]string{}
	}
	made.files[kind.name] = path
	return path
}

func (m media) args(path string) []string {
	return []string{"-nostdin", "-hide_banner", "-v", "error", "-y",
		"-f", "lavfi", "-i", "testsrc2=size=" + m.size + ":rate=" + strconv.Itoa(frameRate),
		"-f", "lavfi", "-i", "sine=frequency=440:beep_factor=4:sample_rate=44100",
		"-c:v", "wmv2", "-b:v", m.videoRate, "-g", strconv.Itoa(keyInterval),
		"-c:a", "wmav2", "-b:a", "48k", "-ac", "2", "-t", strconv.Itoa(m.seconds),
		"-fflags", "+bitexact", "-f", "asf", "-packet_size", strconv.Itoa(m.packetSize), path}
}
