//go:build linux

package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// mediaKey names a stream: its container (asf, ts, flv) and its bit rate with it.
type mediaKey struct {
	container string
	rate      int
}

// media is an encoded stream.
type media struct {
	file string
	rate float64 // bit/s, the file's size by its length
}

// Bit rates of sound and of the least picture; what else there is of a rate is picture.
const (
	soundRate    = 48_000
	leastRate    = 20_000
	encodeTries  = 4
	encodeSample = 20 * time.Second
	rateWithin   = 0.005
)

// encode makes a test picture with sound at a constant rate. Containers cost more or
// less, so the picture's rate is corrected, on the beginning, until the file's is right.
func encode(ctx context.Context, dir string, key mediaKey, length time.Duration) (media, error) {
	m := media{file: filepath.Join(dir, fmt.Sprintf("%d.%s", key.rate, key.container))}
	picture := float64(key.rate - soundRate)
	for range encodeTries {
		if err := m.encode(ctx, key, picture, encodeSample); err != nil {
			return m, err
		}
		if math.Abs(m.rate/float64(key.rate)-1) <= rateWithin {
			break
		}
		picture = max(leastRate, picture+float64(key.rate)-m.rate)
	}
	if err := m.encode(ctx, key, picture, length); err != nil {
		return m, err
	}
	return m, os.Chmod(m.file, 0o644)
}

func (m *media) encode(ctx context.Context, key mediaKey, picture float64, length time.Duration) error {
	if err := ffmpeg(ctx, encodeArgs(m.file, key, int(picture), length)); err != nil {
		return fmt.Errorf("encoding %s at %s: %w", key.container, number(key.rate), err)
	}
	info, err := os.Stat(m.file)
	if err == nil {
		m.rate = float64(info.Size()) * 8 / length.Seconds()
	}
	return err
}

// encodeArgs: a key frame every two seconds, and a rate control of a fifth of a second,
// so that a key frame is no burst that falls into one viewer's window and not another's.
func encodeArgs(file string, key mediaKey, picture int, length time.Duration) []string {
	size := "320x240"
	if key.rate >= 600_000 {
		size = "640x480"
	}
	rate := strconv.Itoa(picture)
	args := []string{"-f", "lavfi", "-i", "testsrc2=size=" + size + ":rate=25", "-f", "lavfi", "-i", "sine=sample_rate=44100",
		"-t", strconv.Itoa(int(length.Seconds())), "-g", "50", "-b:v", rate, "-minrate", rate, "-maxrate", rate, "-bufsize", strconv.Itoa(picture / 5),
		"-b:a", strconv.Itoa(soundRate)}
	if key.container == "asf" {
		args = append(args, "-c:v", "wmv2", "-c:a", "wmav2", "-f", "asf")
	} else {
		args = append(args, "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-x264-params", "nal-hrd=cbr", "-pix_fmt", "yuv420p",
			"-c:a", "aac", "-f", ffmpegFormat(key.container))
	}
	return append(args, file)
}

func ffmpegFormat(container string) string {
	if container == "ts" {
		return "mpegts"
	}
	return container
}

func ffmpeg(ctx context.Context, args []string) error {
	cmd := exec.CommandContext(ctx, "ffmpeg", append([]string{"-nostdin", "-v", "error", "-y"}, args...)...)
	if b, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, b)
	}
	return nil
}
