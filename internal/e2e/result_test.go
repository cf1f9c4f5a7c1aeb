package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// mark says: at this moment (since the player was started) playback had come this far (media time).
type mark struct {
	at, media time.Duration
}

// track is the progress of one elementary stream, oldest mark first.
type track []mark

// Result is what a player did.
type Result struct {
	Player     string
	Video      track  // one mark a decoded picture (FFmpeg) or a look at the counters (VLC)
	Audio      track  // the same for blocks of sound
	Complaints []line // what the player said about data it could not decode as it should
	Lost       int    // pictures and blocks VLC decoded but threw away as too late
	counted    bool   // the media times are counted pictures and blocks, as they were found now and then
}

const (
	// joinTime is how long after its first picture or sound a player may catch up with the live edge:
	// the burst a server sends to a joiner and the player's own buffer come at once.
	joinTime = 3 * time.Second
	// settleTime is how long after the first picture a decoder may complain about what came before the key frame.
	settleTime = 500 * time.Millisecond
	// liveTime is how much there has to be after joining for a judgement.
	liveTime = 2 * time.Second
	// maxGap is how far media time may jump from one mark to the next.
	maxGap = 2 * time.Second
	// maxStall is the longest time without progress. It is far more than a player's buffer holds: on a busy machine the
	// player itself stands still for seconds, and has every picture all the same.
	maxStall = 10 * time.Second
	// maxDrift is how far media time and wall time may be apart after the join, for the same reason.
	maxDrift = 5 * time.Second
	// maxShown bounds the complaints in a test's log.
	maxShown = 20
)

// Check fails the test unless the player decoded sound and picture for at least the given media time,
// without a gap, about in real time, and without one complaint. Check of a stream that begins anywhere, not at a key frame, is CheckFrom.
func (r Result) Check(t *testing.T, atLeast time.Duration) {
	t.Helper()
	r.CheckFrom(t, 0, atLeast)
}

// CheckFrom is Check, but overlooks complaints from before the moment (since the player was started).
func (r Result) CheckFrom(t *testing.T, from, atLeast time.Duration) {
	t.Helper()
	for _, problem := range r.problems(from, atLeast) {
		t.Errorf("%s: %s", r.Player, problem)
	}
}

// Joined is the moment when joining ought to be over.
func (r Result) Joined() time.Duration {
	first := time.Duration(0)
	for _, tr := range []track{r.Video, r.Audio} {
		if len(tr) > 0 {
			first = max(first, tr[0].at)
		}
	}
	return first + joinTime
}

// WithoutEnd leaves out what FFmpeg says of every stream that ends: each of its layers calls it an error.
func (r Result) WithoutEnd() Result {
	said := []string{"Stream ended!", "Stream ends prematurely", "Read data packet header failed!", "Recv other type packet",
		"Invalid data found when processing input"}
	r.Complaints = slices.DeleteFunc(slices.Clone(r.Complaints), func(c line) bool {
		return slices.ContainsFunc(said, func(s string) bool { return strings.Contains(c.text, s) })
	})
	return r
}

// CheckAfter fails the test unless the player decoded at least this much more after the moment (since it was
// started), whatever happened at that moment.
func (r Result) CheckAfter(t *testing.T, moment, atLeast time.Duration) {
	t.Helper()
	for what, tr := range map[string]track{"picture": r.Video, "sound": r.Audio} {
		later := tr.after(moment)
		if len(later) < 2 {
			t.Errorf("%s: no %s after %v", r.Player, what, moment.Round(time.Millisecond))
			continue
		}
		if more := later[len(later)-1].media - later[0].media; more < atLeast {
			t.Errorf("%s: only %v of %s after %v, want %v", r.Player, more, what, moment.Round(time.Millisecond), atLeast)
		}
	}
}

// Settled is shortly after the first picture. A packet in which a key frame begins may hold the pictures before it too,
// and it goes to a joiner as it is: FFmpeg and VLC decode them and say that the first is no key frame.
func (r Result) Settled() time.Duration {
	if len(r.Video) == 0 {
		return 0
	}
	return r.Video[0].at + settleTime
}

// CheckWhole is CheckFrom for a stream whose source was away: it need not come in real time.
func (r Result) CheckWhole(t *testing.T, from, atLeast time.Duration) {
	t.Helper()
	found := r.complained(from)
	for what, tr := range map[string]track{"picture": r.Video, "sound": r.Audio} {
		if played := tr.length(); played < atLeast {
			found = append(found, fmt.Sprintf("%s: only %v decoded, want %v", what, played, atLeast))
		}
		found = append(found, tr.gaps(what, r.counted)...)
	}
	for _, problem := range found {
		t.Errorf("%s: %s", r.Player, problem)
	}
}

// Forgive leaves out what VLC complained of between the two moments.
func (r Result) Forgive(from, to time.Duration) Result {
	if strings.HasPrefix(r.Player, "vlc") {
		r.Complaints = slices.DeleteFunc(slices.Clone(r.Complaints), func(c line) bool { return c.at >= from && c.at < to })
	}
	return r
}

// CheckQuiet fails the test when the player complained after the moment.
func (r Result) CheckQuiet(t *testing.T, from time.Duration) {
	t.Helper()
	for _, problem := range r.complained(from) {
		t.Errorf("%s: %s", r.Player, problem)
	}
}

func (r Result) complained(from time.Duration) (found []string) {
	for _, c := range r.Complaints {
		if len(found) == maxShown {
			return append(found, fmt.Sprintf("and more of %d complaints", len(r.Complaints)))
		}
		if c.at >= from {
			found = append(found, fmt.Sprintf("complained at %v: %s", c.at.Round(time.Millisecond), c.text))
		}
	}
	return found
}

func (r Result) problems(from, atLeast time.Duration) []string {
	found := r.complained(from)
	for what, tr := range map[string]track{"picture": r.Video, "sound": r.Audio} {
		found = append(found, tr.problems(what, atLeast)...)
		found = append(found, tr.gaps(what, r.counted)...)
	}
	return found
}

// problems finds what is wrong with how much came, and when.
func (tr track) problems(what string, atLeast time.Duration) []string {
	if len(tr) < 2 {
		return []string{"no " + what}
	}
	var found []string
	first, last := tr[0], tr[len(tr)-1]
	if played := tr.length(); played < atLeast {
		found = append(found, fmt.Sprintf("%s: only %v decoded, want %v", what, played, atLeast))
	}
	live := tr.after(first.at + joinTime)
	if len(live) < 2 {
		return append(found, fmt.Sprintf("%s: over %v after it began, so it did not come in real time", what, last.at-first.at))
	}
	for i := 1; i < len(live); i++ {
		if pause := live[i].at - live[i-1].at; pause > maxStall {
			found = append(found, fmt.Sprintf("%s: stood still for %v at %v", what, pause, live[i-1].at))
		}
	}
	began, ended := live[0], live[len(live)-1]
	wall, media := ended.at-began.at, ended.media-began.media
	if drift := (media - wall).Abs(); drift > max(maxDrift, wall/4) {
		found = append(found, fmt.Sprintf("%s: %v of media in %v of time", what, media, wall))
	}
	return found
}

// gaps finds what is missing in the media times, whenever they came. Where they were counted, as much as time has passed
// since the last look may have come.
func (tr track) gaps(what string, counted bool) (found []string) {
	for i := 1; i < len(tr); i++ {
		allowed := maxGap
		if counted {
			allowed += tr[i].at - tr[i-1].at
		}
		if tr[i].at < tr[0].at+joinTime {
			continue
		}
		if jump := tr[i].media - tr[i-1].media; jump > allowed || jump < 0 {
			found = append(found, fmt.Sprintf("%s: media time jumps by %v at %v", what, jump, tr[i].at))
		}
	}
	return found
}

// length is the media time from the first mark to the last.
func (tr track) length() time.Duration {
	if len(tr) == 0 {
		return 0
	}
	return tr[len(tr)-1].media - tr[0].media
}

// after leaves out the marks from before the moment.
func (tr track) after(moment time.Duration) track {
	for i, m := range tr {
		if m.at >= moment {
			return tr[i:]
		}
	}
	return nil
}

// String is one line for the test log.
func (r Result) String() string {
	var b strings.Builder
	b.WriteString(r.Player)
	for what, tr := range map[string]track{"picture": r.Video, "sound": r.Audio} {
		if len(tr) > 0 {
			last := tr[len(tr)-1]
			fmt.Fprintf(&b, "; %s began after %v, %v of media by %v", what,
				tr[0].at.Round(time.Millisecond), (last.media - tr[0].media).Round(time.Millisecond), last.at.Round(time.Millisecond))
		}
	}
	fmt.Fprintf(&b, "; %d complaints, %d lost", len(r.Complaints), r.Lost)
	return b.String()
}
