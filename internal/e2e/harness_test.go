package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/asf"
)

// These tests play the programs against each other, without a pump: they show that what the helpers
// measure is true, so that a failure with the pump in between is the pump's.

func TestHarnessWithFiles(t *testing.T) {
	small, large := MakeMedia(t, smallMedia), MakeMedia(t, largeMedia)
	t.Parallel()
	t.Run("ffmpeg in real time", func(t *testing.T) {
		t.Parallel()
		FFmpegPlay(t, large, 12*time.Second, "-re").Check(t, 12*time.Second)
	})
	t.Run("vlc", func(t *testing.T) {
		t.Parallel()
		VLCPlay(t, small, 12*time.Second).Check(t, 12*time.Second)
	})
	t.Run("damage is noticed", func(t *testing.T) {
		t.Parallel()
		file := damaged(t, small)
		r := FFmpegPlay(t, file, 12*time.Second, "-re")
		if len(r.problems(0, 12*time.Second)) == 0 {
			t.Error("ffmpeg played a damaged file and no problem was found")
		}
	})
	t.Run("a gap is noticed", func(t *testing.T) {
		t.Parallel()
		r := FFmpegPlay(t, withGap(t, small), 12*time.Second, "-re")
		if found := strings.Join(r.problems(0, 12*time.Second), "\n"); !strings.Contains(found, "media time jumps by 5") {
			t.Errorf("ffmpeg played a file without five seconds of its middle, and what was found is %q", found)
		}
	})
	t.Run("a player that stood still is forgiven", func(t *testing.T) {
		t.Parallel()
		f := startFFmpeg(t, large, "-re")
		f.until(t, 5*time.Second, func(r Result) bool { return r.Video.length() > 5*time.Second })
		_ = syscall.Kill(f.cmd.Process.Pid, syscall.SIGSTOP)
		hold(4 * time.Second) // longer than a busy machine takes
		_ = syscall.Kill(f.cmd.Process.Pid, syscall.SIGCONT)
		f.until(t, 12*time.Second, lasts(12*time.Second))
		f.leave(t).Check(t, 12*time.Second)
	})
}

// withGap copies the file without about five seconds of packets.
func withGap(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	size, err := asf.HeaderSize(data)
	if err != nil {
		t.Fatal(err)
	}
	h, err := asf.ParseHeader(data[:size])
	if err != nil {
		t.Fatal(err)
	}
	second := func(s uint32) int { // where it begins
		for at := size; at+smallMedia.packetSize <= len(data); at += smallMedia.packetSize {
			if p, err := asf.ParsePacket(data[at:at+smallMedia.packetSize], h.PacketSize, h.KeyStreams()); err == nil && p.KeyStart && p.SendTime >= 1000*s {
				return at
			}
		}
		t.Fatalf("the film has no second %d", s)
		return 0
	}
	path := filepath.Join(scratch, "gap.asf")
	if err := os.WriteFile(path, slices.Concat(data[:second(6)], data[second(11):]), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// damaged copies the file and inverts forty bytes in the middle of each of 100 packets.
func damaged(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for packet := 20; packet < 120; packet++ {
		at := packet*smallMedia.packetSize + smallMedia.packetSize/2
		for i := at; i < at+40; i++ {
			data[i] ^= 0xFF
		}
	}
	path := filepath.Join(scratch, "damaged.asf")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestHarnessWithVLCAsServer(t *testing.T) {
	file := MakeMedia(t, smallMedia)
	t.Parallel()
	url := VLCServe(t, file)
	vlc := StartVLCPlay(t, url, 12*time.Second)
	for _, r := range []Result{FFmpegPlay(t, url, 12*time.Second), vlc()} {
		r.CheckFrom(t, r.Joined(), 12*time.Second)
	}
}
