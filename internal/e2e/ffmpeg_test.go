package e2e

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// FFmpegPlay decodes picture and sound of the address, as fast as they come, until it has d of both, and notes when
// each decoded frame came out. Further input options go before the address ("-re" for a file).
func FFmpegPlay(t *testing.T, url string, d time.Duration, inputOptions ...string) Result {
	t.Helper()
	return StartFFmpegPlay(t, url, d, inputOptions...)()
}

// StartFFmpegPlay begins to play; the function it returns waits until d is decoded.
func StartFFmpegPlay(t *testing.T, url string, d time.Duration, inputOptions ...string) (wait func() Result) {
	t.Helper()
	f := startFFmpeg(t, url, inputOptions...)
	return func() Result {
		t.Helper()
		f.until(t, d, lasts(d))
		return f.leave(t)
	}
}

// startFFmpeg begins to play, until it is stopped or the stream ends.
func startFFmpeg(t *testing.T, url string, inputOptions ...string) *player {
	t.Helper()
	need(t, "ffmpeg")
	args := append([]string{"-nostdin", "-hide_banner", "-nostats", "-v", "level+warning"}, inputOptions...)
	args = append(args, "-i", url)
	for i, what := range []string{"0:v", "0:a"} {
		args = append(args, "-map", what, "-fps_mode", "passthrough", "-f", "framecrc", "-flush_packets", "1", fmt.Sprintf("pipe:%d", 3+i))
	}
	cmd := exec.Command("ffmpeg", args...)

	var readers [2]*os.File
	for i := range readers {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		readers[i] = r
		cmd.ExtraFiles = append(cmd.ExtraFiles, w)
	}
	f := &player{process: start(t, "ffmpeg "+url, cmd), complains: ffmpegComplains}
	for i, into := range []*track{&f.result.Video, &f.result.Audio} {
		_ = cmd.ExtraFiles[i].Close()
		f.watching.Go(func() { f.readFrames(readers[i], into) })
	}
	return f
}

// readFrames reads one framecrc output: "#tb 0: 1/25", then "stream, dts, pts, duration, size, crc" a frame.
func (p *player) readFrames(r io.ReadCloser, into *track) {
	defer func() { _ = r.Close() }()
	num, den := int64(1), int64(1000)
	for scan := bufio.NewScanner(r); scan.Scan(); {
		text := scan.Text()
		if base, ok := strings.CutPrefix(text, "#tb 0: "); ok {
			_, _ = fmt.Sscanf(base, "%d/%d", &num, &den)
			continue
		}
		fields := strings.Split(text, ",")
		if strings.HasPrefix(text, "#") || len(fields) < 6 {
			continue
		}
		pts, err := strconv.ParseInt(strings.TrimSpace(fields[2]), 10, 64)
		if err != nil {
			continue
		}
		m := mark{time.Since(p.began), time.Duration(pts * num * int64(time.Second) / den)}
		p.note(func(*Result) { *into = append(*into, m) })
	}
}

// ffmpegComplains is true for every error, and for warnings of the decoders. Warnings from elsewhere are
// about what a header does not say, such as the layout of two channels.
func ffmpegComplains(text string) bool {
	if strings.Contains(text, "[error]") || strings.Contains(text, "[fatal]") || strings.Contains(text, "[panic]") {
		return true
	}
	return strings.Contains(text, "[warning]") && strings.HasPrefix(text, "[wm")
}

// FFmpegPush sends the file to the address in real time, as an encoder would: format "asf" is plain ASF,
// "asf_stream" is MMSH framing with pre-headers. It runs until the file ends, the test ends, or stop is called.
func FFmpegPush(t *testing.T, file, url, format string) (stop func()) {
	t.Helper()
	need(t, "ffmpeg")
	p := start(t, "ffmpeg push "+url, exec.Command("ffmpeg", "-nostdin", "-hide_banner", "-nostats", "-v", "level+warning",
		"-re", "-i", file, "-c", "copy", "-f", format, url))
	return func() { p.stop(syscall.SIGINT, 5*time.Second) }
}
