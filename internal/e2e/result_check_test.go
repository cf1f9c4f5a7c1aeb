package e2e

import (
	"strings"
	"testing"
	"time"
)

// playback makes a track: a second of burst at once after the start, then n marks 200 ms apart in real
// time, each changed by bend.
func playback(n int, bend func(i int, m mark) mark) track {
	const start, burst, step = time.Second, time.Second, 200 * time.Millisecond
	tr := track{{start, 0}, {start, burst}}
	for i := 1; i <= n; i++ {
		tr = append(tr, bend(i, mark{start + time.Duration(i)*step, burst + time.Duration(i)*step}))
	}
	return tr
}

// What the helpers call a good playback decides what all other tests here are worth.
func TestTrackProblems(t *testing.T) {
	straight := func(_ int, m mark) mark { return m }
	tests := []struct {
		name string
		tr   track
		want string // part of the one problem; "" for none
	}{
		{"real time after a burst", playback(60, straight), ""},
		{"nothing", nil, "no sound"},
		{"one block only", track{{time.Second, 0}}, "no sound"},
		{"too short", playback(30, straight), "only 7s decoded"},
		{"all at once", func() track {
			var tr track
			for i := range 100 {
				tr = append(tr, mark{time.Second, time.Duration(i) * time.Second / 5})
			}
			return tr
		}(), "did not come in real time"},
		{"a pause that is made up for", playback(60, func(i int, m mark) mark {
			if i > 30 && i < 45 {
				m.at = time.Second + 45*200*time.Millisecond
			}
			return m
		}), "stood still"},
		{"media time jumps back", playback(60, func(i int, m mark) mark {
			if i == 40 {
				m.media -= 500 * time.Millisecond
			}
			return m
		}), "jumps"},
		{"media time jumps forward", playback(60, func(i int, m mark) mark {
			if i >= 40 {
				m.media += 3 * time.Second
			}
			return m
		}), "jumps"},
		{"half speed", playback(120, func(_ int, m mark) mark {
			m.media /= 2
			return m
		}), "of media in"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := strings.Join(tt.tr.problems("sound", 12*time.Second), "\n")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestComplaints(t *testing.T) {
	tests := []struct {
		name, text string
		complains  func(string) bool
		want       bool
	}{
		{"ffmpeg: error", "[wmv2 @ 0x5596] [error] Error at MB: 148", ffmpegComplains, true},
		{"ffmpeg: error without a name", "[error] Read data packet header failed!", ffmpegComplains, true},
		{"ffmpeg: decoder warns", "[wmv2 @ 0x5596] [warning] warning: first frame is no keyframe", ffmpegComplains, true},
		{"ffmpeg: layout is guessed", "[warning] Guessed Channel Layout for Input Stream #0.0 : mono", ffmpegComplains, false},
		{"vlc: decoder library", "[wmv2 @ 0x7f821007b5c0] ignoring overflow at 1 7", vlcComplains, true},
		{"vlc: decoder", "[00007f67c02a2a0] avcodec decoder error: more than 5 seconds of late video", vlcComplains, true},
		{"vlc: cannot open", "[00007f490c000c90] main input error: Your input can't be opened", vlcComplains, true},
		{"vlc: tries MMST before MMSH", "[00007f49100015e0] access_mms stream error: cannot read data 2", vlcComplains, false},
		{"vlc: late", "[00007f6700015b0] main video output warning: picture is too late to be displayed", vlcComplains, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.complains(tt.text); got != tt.want {
				t.Errorf("%q: complains %v, want %v", tt.text, got, tt.want)
			}
		})
	}
}
