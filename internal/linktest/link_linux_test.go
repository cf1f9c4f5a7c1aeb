package linktest

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

const (
	viewers   = 200
	streamBPS = 300_000
	path      = "live"
)

// pair is a pump at each end of the cable: the near one fed by an encoder, the far one by the near one.
type pair struct {
	*cable
	above, below *pump
}

func startPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{cable: lay(t)}
	p.above = startPump(t, p.near, "streams:\n  - {type: mmsh_push, path: "+path+"}\n")
	start(t, p.near, "loadtest", "push", "-rate", fmt.Sprint(streamBPS), fmt.Sprintf("http://127.0.0.1:%d/streams/%s_push", port, path))
	eventually(t, 10*time.Second, "the encoder's stream is live", func() bool { return p.above.stream(t, path).State == "live" })
	p.below = startPump(t, p.far, fmt.Sprintf("streams:\n  - {type: mmsh_pull, path: %s, source_options: {url: 'mmsh://%s:%d/streams/%s'}}\n",
		path, nearAddr, port, path))
	eventually(t, 10*time.Second, "the stream is live behind the cable", func() bool { return p.below.stream(t, path).State == "live" })
	return p
}

// invite brings the viewers to the far pump and waits until all are there.
func (p *pair) invite(t *testing.T, stay time.Duration) *audience {
	t.Helper()
	a := watch(t, p.far, path, viewers, stay)
	eventually(t, 15*time.Second, "all viewers are there", func() bool { return p.below.stream(t, path).Viewers == viewers })
	return a
}

// behind is how many packets the far pump has not got that the near one has; before its first packet counts too.
func (p *pair) behind(t *testing.T) int {
	t.Helper()
	below := p.below.stream(t, path).PacketsIn
	return int(p.above.stream(t, path).PacketsIn) - int(below)
}

// Two hundred viewers behind a line that could carry sixty: the pump at its end gets the stream once.
func TestBottleneck(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	t.Run("the line carries the stream once", p.carriesOnce)
	if t.Failed() {
		return
	}
	p.cutAndMend(t)
}

func (p *pair) carriesOnce(t *testing.T) {
	const window = 11 * time.Second
	a := p.invite(t, window)
	before, fed, begun := p.carried(t), p.above.stream(t, path).BytesIn, time.Now()
	v := a.finish(t, window+20*time.Second)
	over, in, took := p.carried(t).since(before), p.above.stream(t, path).BytesIn-fed, time.Since(begun)

	share := float64(over.down) / float64(in)
	t.Logf("over %.1f s: encoder %.1f kbit/s, cable %.1f kbit/s down, %.1f up: %.3f × the stream",
		took.Seconds(), kbits(in, took), kbits(over.down, took), kbits(over.up, took), share)
	t.Logf("%d viewers: %.1f Mbit/s, delivery min %.5f, %d gaps, %d protocol errors, latency p50 %.1f ms, p99 %.1f ms, max %.1f ms (%s %q)",
		v.Clients.AliveAtEnd, v.Mbit, v.Delivery.Min, v.Gaps.Packets, v.Protocol, v.Latency.P50, v.Latency.P99, v.Latency.Max, v.Verdict, v.Reasons)
	if took < 10*time.Second || in == 0 {
		t.Fatalf("%d bytes in %v are no measurement", in, took)
	}
	if share > 1.1 {
		t.Errorf("the cable carried %.3f times the stream, more than 1.1", share)
	}
	if v.Delivery.Min < 0.999 || v.Gaps.Packets > 0 {
		t.Errorf("delivery %.5f (at least 0.999 expected), %d packets missing", v.Delivery.Min, v.Gaps.Packets)
	}
	v.checkWhole(t)
}

// checkWhole judges what has to be true whatever happens to the line: nobody was sent away, and all that came was whole
// and in order.
func (v verdict) checkWhole(t *testing.T) {
	t.Helper()
	if v.Clients.Connected != viewers || v.Clients.AliveAtEnd != viewers || v.Ended > 0 || v.Rejoined > 0 {
		t.Errorf("of %d viewers %d came and %d stayed; %d connections were ended, %d made again",
			viewers, v.Clients.Connected, v.Clients.AliveAtEnd, v.Ended, v.Rejoined)
	}
	if v.Protocol > 0 {
		t.Errorf("%d protocol errors: %v", v.Protocol, v.Errors)
	}
}

func kbits(bytes uint64, in time.Duration) float64 { return float64(bytes) * 8 / 1000 / in.Seconds() }

// cutAndMend has the same viewers through all cuts: those that the connection between the pumps may outlive, and one
// that lasts until the far pump gives its connection up.
func (p *pair) cutAndMend(t *testing.T) {
	a := p.invite(t, 10*time.Minute) // they leave when the test is done
	tenSeconds := func(t *testing.T) {
		begun := time.Now()
		eventually(t, 15*time.Second, "ten seconds are over", func() bool { return time.Since(begun) >= 10*time.Second })
	}
	t.Run("ten seconds "+swallowed.name, func(t *testing.T) { p.interrupt(t, swallowed, tenSeconds) })
	t.Run("ten seconds "+unplugged.name, func(t *testing.T) { p.interrupt(t, unplugged, tenSeconds) })
	t.Run(unplugged.name+" until the source is given up", func(t *testing.T) {
		p.interrupt(t, unplugged, func(t *testing.T) {
			eventually(t, 20*time.Second, "the far pump notices", func() bool { return p.below.stream(t, path).State != "live" })
		})
	})
	v := a.leave(t)
	t.Logf("%d viewers through all cuts: delivery min %.5f, %d packets missing of %d viewers, longest pause %.1f s, %d protocol errors",
		v.Clients.AliveAtEnd, v.Delivery.Min, v.Gaps.Packets, v.Gaps.Clients, v.Stalls.Longest/1000, v.Protocol)
	v.checkWhole(t)
}

// interrupt cuts the cable, mends it when until returns, and sees the viewers go on.
func (p *pair) interrupt(t *testing.T, how outage, until func(*testing.T)) {
	t.Helper()
	const (
		flowing  = 10 * time.Second // from mending to data at the viewers
		inFlight = 20               // packets that are on their way at any time
	)
	base := p.behind(t)
	how.cut(t, p.cable)
	cutAt := time.Now()
	until(t)
	missed, length := p.behind(t)-base, time.Since(cutAt)
	stopped := p.below.stream(t, path)
	if stopped.Viewers != viewers {
		t.Errorf("%d of %d viewers are left while the cable is cut", stopped.Viewers, viewers)
	}
	how.mend(t, p.cable)
	took := eventually(t, flowing, "data flow again, to the viewers too", func() bool {
		s := p.below.stream(t, path)
		return s.PacketsIn > stopped.PacketsIn && s.BytesOut > stopped.BytesOut
	})
	lost := p.settled(t, base, inFlight)
	t.Logf("cut for %.1f s, the source then %q and %d packets behind; data flow %.1f s after mending, %d packets lost for good",
		length.Seconds(), stopped.State, missed, took.Seconds(), lost)
	if s := p.below.stream(t, path); s.State != "live" || s.Viewers != viewers {
		t.Errorf("afterwards the stream is %q with %d of %d viewers", s.State, s.Viewers, viewers)
	}
}

// settled waits until the far pump is no longer catching up, and gives how many packets it never got.
func (p *pair) settled(t *testing.T, base, inFlight int) int {
	t.Helper()
	lost, same := p.behind(t)-base, 0
	eventually(t, 10*time.Second, "the far pump keeps up", func() bool {
		now := p.behind(t) - base
		if now <= inFlight {
			lost, same = max(now, 0), same+1
		} else if now >= lost-1 && now <= lost+1 {
			same++
		} else {
			lost, same = now, 0
		}
		return same >= 10
	})
	return lost
}

// What a killed test run leaves behind goes with the next one; what belongs to a living one stays.
func TestLeftoversAreSwept(t *testing.T) {
	c := lay(t)
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	stale := named(gone.Process.Pid, "near")
	t.Cleanup(func() { stale.remove(t) })
	if _, err := system("ip", "netns", "add", string(stale)); err != nil {
		t.Fatal(err)
	}
	inside := stale.command("sleep", "600")
	if err := inside.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = inside.Process.Kill() }()
	eventually(t, 5*time.Second, "a process runs in the namespace", func() bool {
		out, err := system("ip", "netns", "pids", string(stale))
		return err == nil && out != ""
	})
	sweep(t)
	if stale.exists() {
		t.Error("the namespace of a dead process is still there")
	}
	if err := inside.Wait(); err == nil {
		t.Error("the process in it was not ended")
	}
	if _, err := os.Stat(c.near.file()); err != nil {
		t.Errorf("the namespace of a living process is gone: %v", err)
	}
}
