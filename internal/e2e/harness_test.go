package e2e

import (
	"os"
	"path/filepath"
	"testing"
	"time"
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
