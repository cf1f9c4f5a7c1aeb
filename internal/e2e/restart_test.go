package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	// longWatch is how much players play at least when something happens to the stream.
	longWatch = 20 * time.Second
	// onTheAir is how much of a stream there has to be before something happens.
	onTheAir = 4 * time.Second
	// seamTime is how long VLC may take to show what it has in its buffers. Where a source was cut off in the middle of
	// a picture VLC decodes the part that came, and says what is wrong with it; FFmpeg drops it.
	seamTime = 20 * time.Second
)

// waitPackets waits until so many packets more have come in.
func (p *PumpProc) waitPackets(t *testing.T, path string, more uint64) {
	t.Helper()
	before, _ := p.Stream(t, path)
	eventually(t, time.Minute, fmt.Sprintf("%d packets more of %s", more, path), func() bool {
		info, _ := p.Stream(t, path)
		return info.PacketsIn >= before.PacketsIn+more
	})
}

// onlooker is a viewer of raw packets who tells, at the end, what it saw.
func onlooker(t *testing.T, pump *PumpProc, path string) (end func() []rawFrame) {
	t.Helper()
	v, err := joinRaw(pump.Port, path, false)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan []rawFrame, 1)
	go func() {
		var frames []rawFrame
		for len(frames) < 100_000 {
			f, err := v.next(time.Minute)
			if err != nil {
				break
			}
			frames = append(frames, f)
		}
		seen <- frames
	}()
	return func() []rawFrame { v.close(); return <-seen }
}

// checkUnbroken fails the test unless the packets follow each other without a gap, and nothing but data follows the
// header.
func checkUnbroken(t *testing.T, frames []rawFrame) {
	t.Helper()
	if len(frames) < 10 {
		t.Errorf("the onlooker saw %d packets", len(frames))
		return
	}
	for i, f := range frames[1:] {
		if f.kind != 'D' {
			t.Errorf("packet %d is a $%c", i, f.kind)
		} else if i > 0 && f.location != frames[i].location+1 {
			t.Errorf("LocationId %d comes after %d", f.location, frames[i].location)
		}
	}
	pause := time.Duration(0)
	for i := range frames[1:] {
		pause = max(pause, frames[i+1].at-frames[i].at)
	}
	t.Logf("an onlooker saw %d packets in order; the longest pause was %v", len(frames), pause.Round(time.Millisecond))
}

// The encoder is killed and comes back with the same header: players go on and have nothing to complain about.
func TestEncoderKilled(t *testing.T) {
	file := MakeMedia(t, smallMedia)
	t.Parallel()
	pump := Pump(t, "streams:\n  - {name: Push, type: mmsh_push, path: push}")
	encoder := PumpPush(t, file, pump.PushURL("push"), true)
	pump.WaitState(t, "push", "live", 10*time.Second)
	end := onlooker(t, pump, "push")
	began := time.Now()
	players := []*player{startFFmpeg(t, pump.MMSH("push")), startVLC(t, pump.MMSH("push"))}
	pump.waitViewers(t, "push", 3)
	pump.waitPackets(t, "push", packetsIn(onTheAir))

	first := time.Since(began)
	for range 2 {
		encoder.kill()
		pump.WaitState(t, "push", "connecting", 10*time.Second)
		encoder = PumpPush(t, file, pump.PushURL("push"), true)
		pump.WaitState(t, "push", "live", 15*time.Second)
		pump.waitPackets(t, "push", packetsIn(onTheAir))
	}
	killed := time.Since(began)
	for _, p := range players {
		p.until(t, longWatch, both(lasts(longWatch), lastsAfter(killed, 3*time.Second)))
		r := p.leave(t).Forgive(first, killed+seamTime)
		r.CheckWhole(t, r.Settled(), longWatch)
	}
	checkUnbroken(t, end())
}

// packetsIn is about how many packets of smallMedia last so long.
func packetsIn(d time.Duration) uint64 { return uint64(d.Seconds() * 30) }

// The pump above in a chain is killed and comes back, and so does its encoder: the viewers of the pump below go on.
func TestUpstreamPumpKilled(t *testing.T) {
	file := MakeMedia(t, smallMedia)
	t.Parallel()
	above := Pump(t, "streams:\n  - {name: Push, type: mmsh_push, path: push}")
	below := Pump(t, fmt.Sprintf("streams:\n  - {name: Pull, type: mmsh_pull, path: pull, source_options: {url: '%s'}}", above.MMSH("push")))
	encoder := PumpPush(t, file, above.PushURL("push"), true)
	below.WaitState(t, "pull", "live", 15*time.Second)
	end := onlooker(t, below, "pull")
	began := time.Now()
	players := []*player{startFFmpeg(t, below.MMSH("pull")), startVLC(t, below.MMSH("pull"))}
	below.waitViewers(t, "pull", 3)
	below.waitPackets(t, "pull", packetsIn(onTheAir))

	above.Kill()
	encoder.kill()
	below.WaitState(t, "pull", "connecting", 10*time.Second)
	lost := time.Since(began)
	above.Restart(t)
	PumpPush(t, file, above.PushURL("push"), true)
	below.WaitState(t, "pull", "live", 15*time.Second)
	back := time.Since(began)
	t.Logf("the source was away from %v to %v", lost.Round(time.Millisecond), back.Round(time.Millisecond))
	for _, p := range players {
		p.until(t, longWatch, lastsAfter(back, 5*time.Second))
		r := p.leave(t).Forgive(lost, back+seamTime)
		r.CheckAfter(t, back, 5*time.Second)
		r.CheckQuiet(t, r.Settled())
	}
	checkUnbroken(t, end())
}

// A pulled source dies, a file takes over, and the source comes back: the players go on, twice.
func TestFailover(t *testing.T) {
	file := MakeMedia(t, smallMedia)
	t.Parallel()
	above := Pump(t, fmt.Sprintf("streams:\n  - {name: Loop, type: file_loop, path: loop, file: %s}", file))
	below := Pump(t, fmt.Sprintf(`
pull: {backoff: {min: 500ms, max: 1s}}
streams:
  - name: Main and backup
    type: mmsh_pull
    path: show
    return_after: 1s
    sources:
      - {url: '%s'}
      - {type: file_loop, file: %s}`, above.MMSH("loop"), file))
	below.WaitState(t, "show", "live", 15*time.Second)
	end := onlooker(t, below, "show")
	began := time.Now()
	players := []*player{startFFmpeg(t, below.MMSH("show")), startVLC(t, below.MMSH("show"))}
	below.waitViewers(t, "show", 3)
	below.waitPackets(t, "show", packetsIn(onTheAir))

	lost := time.Since(began)
	above.Kill()
	below.WaitState(t, "show", "fallback", 20*time.Second)
	fallback := time.Since(began)
	below.waitPackets(t, "show", packetsIn(onTheAir))
	above.Restart(t)
	below.WaitState(t, "show", "live", 30*time.Second)
	back := time.Since(began)
	t.Logf("fallback after %v, back after %v", fallback.Round(time.Millisecond), back.Round(time.Millisecond))
	for _, p := range players {
		p.until(t, longWatch, both(lasts(longWatch), lastsAfter(back, 3*time.Second)))
		r := p.leave(t).Forgive(lost, back+seamTime)
		r.CheckWhole(t, r.Settled(), longWatch)
	}
	checkUnbroken(t, end())
}

// SIGUSR2 starts the program anew on the same sockets. Who watches goes on with the old one, newcomers get the new.
func TestHandOver(t *testing.T) {
	need(t, "ffmpeg", "vlc")
	t.Parallel()
	pump := Pump(t, "drain: {timeout: 3m}\nstreams:\n  - {name: Card, type: test_card, path: card}")
	pump.WaitState(t, "card", "live", 10*time.Second)
	before := audience(t, pump.MMSH("card"))
	end := onlooker(t, pump, "card")
	pump.waitViewers(t, "card", 3)

	if err := pump.proc.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	var successor int
	eventually(t, 20*time.Second, "the new program serves", func() bool {
		for _, l := range pump.proc.said(func(s string) bool { return strings.Contains(s, "handed over") }) {
			successor = handedOverTo(l.text)
		}
		info, ok := pump.Stream(t, "card")
		return successor != 0 && ok && info.State == "live" && info.Viewers == 0
	})
	t.Logf("handed over from %d to %d", pump.proc.cmd.Process.Pid, successor)
	after := audience(t, pump.MMSH("card"))
	pump.waitViewers(t, "card", 2) // of the new program's, whose admin port this is
	before()
	after()
	checkUnbroken(t, end())

	eventually(t, 45*time.Second, "the old program has ended by itself", func() bool { return zombie(pump.proc.cmd.Process.Pid) })
	if err := syscall.Kill(successor, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if !pump.proc.ended(20 * time.Second) {
		t.Error("the new program has not ended after SIGTERM")
	}
	pump.Stop(t)
}
