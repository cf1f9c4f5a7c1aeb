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
	late := func(by time.Duration) track { // a machine that stands still, and then has all that came meanwhile
		return playback(100, func(i int, m mark) mark {
			if resumes := time.Second + 6*time.Second + by; i > 30 && m.at < resumes {
				m.at = resumes
			}
			return m
		})
	}
	skipped := func(by time.Duration) track { // what was to come while it stood still does not come
		return playback(100, func(i int, m mark) mark {
			if i > 30 {
				m.at, m.media = m.at+by, m.media+by
			}
			return m
		})
	}
	tests := []struct {
		name    string
		tr      track
		counted bool
		want    string // part of the one problem; "" for none
	}{
		{"real time after a burst", playback(60, straight), false, ""},
		{"nothing", nil, false, "no sound"},
		{"one block only", track{{time.Second, 0}}, false, "no sound"},
		{"too short", playback(30, straight), false, "only 7s decoded"},
		{"a third of a second too short", playback(53, straight), false, "only 11.6s decoded"},
		{"all at once", func() track {
			var tr track
			for i := range 100 {
				tr = append(tr, mark{time.Second, time.Duration(i) * time.Second / 5})
			}
			return tr
		}(), false, "did not come in real time"},
		{"a pause of five seconds that is made up for", late(5 * time.Second), false, ""},
		{"the same, counted", late(5 * time.Second), true, ""},
		{"a pause of eleven seconds that is made up for", late(11 * time.Second), false, "stood still"},
		{"a pause of five seconds, of which the media are missing", skipped(5 * time.Second), false, "jumps"},
		{"media time jumps back", playback(60, func(i int, m mark) mark {
			if i == 40 {
				m.media -= 500 * time.Millisecond
			}
			return m
		}), false, "jumps"},
		{"media time jumps forward", playback(60, func(i int, m mark) mark {
			if i >= 40 {
				m.media += 3 * time.Second
			}
			return m
		}), false, "jumps"},
		{"counted media jump forward", playback(60, func(i int, m mark) mark {
			if i >= 40 {
				m.media += 3 * time.Second
			}
			return m
		}), true, "jumps"},
		{"half speed", playback(120, func(_ int, m mark) mark {
			m.media /= 2
			return m
		}), false, "of media in"},
		{"double speed", playback(60, func(_ int, m mark) mark {
			m.media *= 2
			return m
		}), false, "of media in"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := strings.Join(append(tt.tr.problems("sound", 12*time.Second), tt.tr.gaps("sound", tt.counted)...), "\n")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// A player is waited for until it has had what it should: the media, of both kinds, and longer than joining takes.
func TestLasts(t *testing.T) {
	straight := func(_ int, m mark) mark { return m }
	burst := track{{time.Second, 0}, {2 * time.Second, 20 * time.Second}}
	long := playback(60, straight)
	tests := []struct {
		name         string
		video, audio track
		want         bool
	}{
		{"both have it", long, long, true},
		{"no sound yet", long, nil, false},
		{"no picture yet", nil, long, false},
		{"the sound is shorter", long, playback(50, straight), false},
		{"all of it came at the beginning", burst, burst, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := lasts(12 * time.Second)(Result{Video: tt.video, Audio: tt.audio}); got != tt.want {
				t.Errorf("lasts: %v, want %v", got, tt.want)
			}
		})
	}
}

// VLC's counters tell what came damaged; what VLC threw away because it was late itself is no complaint.
func TestCountersOfVLC(t *testing.T) {
	var r Result
	r.count(time.Second, vlcCounters{displayed: 25, played: 20, lostPictures: 30, lostBlocks: 40}, 44_100)
	if len(r.Complaints) != 0 || r.Lost != 70 || len(r.Video) != 1 || len(r.Audio) != 1 {
		t.Errorf("late pictures and blocks: %+v", r)
	}
	r.count(2*time.Second, vlcCounters{displayed: 50, played: 40, corrupted: 1}, 44_100)
	r.count(3*time.Second, vlcCounters{displayed: 75, played: 60, corrupted: 1, gaps: 2}, 44_100)
	if len(r.complained(0)) != 1 || !strings.Contains(r.complained(0)[0], "1 corrupted, 2 discontinuities") {
		t.Errorf("damage: %v", r.complained(0))
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
		{"vlc: decoder", "[00007f67c02a2a0] avcodec decoder error: cannot decode one frame (3000 bytes)", vlcComplains, true},
		{"vlc: demuxer", "[00007f67c02a2a0] asf demux error: unsupported ASF packet", vlcComplains, true},
		{"vlc: decodes late", "[00007f67c02a2a0] avcodec decoder error: more than 5 seconds of late video -> dropping frame (computer too slow ?)", vlcComplains, false},
		{"vlc: leaves a late frame out", "[00007f67c02a2a0] avcodec decoder warning: More than 11 late frames, dropping frame", vlcComplains, false},
		{"vlc: sound is late", "[0000561b562b7730] main audio output warning: buffer too late (-1897025 us): dropped", vlcComplains, false},
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
