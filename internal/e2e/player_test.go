package e2e

import (
	"sync"
	"testing"
	"time"
)

// patience is how long a player may take beyond the media that it is to play: to start, to be late, to catch up.
const patience = time.Minute

// player is FFmpeg or VLC at play. What it does is noted while it does it, so that a test waits for media and not for
// the clock: a slow machine makes the test longer.
type player struct {
	*process
	complains func(string) bool // of a line that it said
	watching  sync.WaitGroup    // those who note what it does, to its end

	mu      sync.Mutex
	result  Result
	leaving bool
	failed  error // why nobody could see what it does any more, although it was not told to leave
}

// note changes what is known of the player.
func (p *player) note(change func(*Result)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.result)
}

// lost says that the player can be watched no longer.
func (p *player) lost(why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.leaving && p.failed == nil {
		p.failed = why
	}
}

// now is what it has done so far.
func (p *player) now() Result {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.result // the tracks only ever grow
	r.Player = p.name
	r.Complaints = append(r.Complaints[:len(r.Complaints):len(r.Complaints)], p.said(p.complains)...)
	return r
}

// until waits until enough holds for what the player did. It fails the test when that does not come with so much media,
// and patience, or when the player ends before.
func (p *player) until(t *testing.T, media time.Duration, enough func(Result) bool) {
	t.Helper()
	limit := time.NewTimer(media + patience)
	defer limit.Stop()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for !enough(p.now()) {
		select {
		case <-poll.C:
		case <-p.done:
			p.watching.Wait()
			if !enough(p.now()) {
				t.Errorf("%s ended by itself: %v", p.name, p.err)
			}
			return
		case <-limit.C:
			t.Errorf("%s has not played what it should within %v", p.name, media+patience)
			return
		}
	}
}

// leave ends the player and returns what it did.
func (p *player) leave(t *testing.T) Result {
	t.Helper()
	p.mu.Lock()
	p.leaving = true
	p.mu.Unlock()
	p.kill()
	return p.judged(t)
}

// wait gives the player the time to end by itself, with status 0, and returns what it did.
func (p *player) wait(t *testing.T, limit time.Duration) Result {
	t.Helper()
	if !p.ended(limit) {
		t.Errorf("%s has not ended after %v", p.name, slack*limit)
	}
	p.kill()
	if p.err != nil {
		t.Errorf("%s: %v", p.name, p.err)
	}
	return p.judged(t)
}

func (p *player) judged(t *testing.T) Result {
	t.Helper()
	p.watching.Wait()
	r := p.now()
	if p.failed != nil {
		t.Errorf("%s: %v", p.name, p.failed)
	}
	t.Log(r)
	return r
}

// lasts tells of a player whether it has had so much of picture and sound, and has been at it for longer than joining
// takes.
func lasts(d time.Duration) func(Result) bool {
	return func(r Result) bool {
		for _, tr := range []track{r.Video, r.Audio} {
			if tr.length() < d || tr[len(tr)-1].at < tr[0].at+joinTime+liveTime {
				return false
			}
		}
		return true
	}
}

// lastsAfter tells of a player whether it has had so much of picture and sound since the moment.
func lastsAfter(moment, d time.Duration) func(Result) bool {
	return func(r Result) bool {
		return r.Video.after(moment).length() >= d && r.Audio.after(moment).length() >= d
	}
}

// both holds when each of the two does.
func both(one, other func(Result) bool) func(Result) bool {
	return func(r Result) bool { return one(r) && other(r) }
}
