package linktest

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

// A pump at the near end of the cable, with viewers at the far end: the cable carries about
// sixty of them.
const (
	watching = 40  // who are there first
	herd     = 160 // who then ask all at once
	fitting  = 60
)

// uplinked starts the near pump with the setting, and its encoder.
func uplinked(t *testing.T, setting string) (*cable, *pump) {
	t.Helper()
	c := lay(t)
	p := startPump(t, c.near, setting+"streams:\n  - {type: mmsh_push, path: "+path+"}\n")
	start(t, c.near, "loadtest", "push", "-rate", fmt.Sprint(streamBPS), fmt.Sprintf("http://127.0.0.1:%d/streams/%s_push", port, path))
	eventually(t, 10*time.Second, "the encoder's stream is live", func() bool { return p.stream(t, path).State == "live" })
	return c, p
}

// across brings viewers to the near pump from the far end, so many a second (0: all at
// once), who stay for as long as that.
func across(t *testing.T, c *cable, viewers, ramp int, stay time.Duration) *audience {
	t.Helper()
	a := &audience{file: filepath.Join(scratch, fmt.Sprintf("report-%d.json", time.Now().UnixNano()))}
	a.proc = start(t, c.far, "loadtest", "-quiet", "-json", a.file, "-clients", fmt.Sprint(viewers), "-ramp", fmt.Sprint(ramp), "-duration", stay.String(),
		"-join-timeout", "30s", "-max-join", "30s", "-url", fmt.Sprintf("mmsh://%s:%d/streams/%s", nearAddr, port, path))
	return a
}

// limit is what the tests read of a limit in the API.
type limit struct {
	Limit     string
	Used, Max int64
	Refused   uint64
}

// uplink asks the pump for the state of that limit.
func (p *pump) uplink(t *testing.T) limit {
	t.Helper()
	var answer struct{ Limits []limit }
	p.get(t, "/api/v1/limits", &answer)
	for _, l := range answer.Limits {
		if l.Limit == "uplink" {
			return l
		}
	}
	return limit{}
}

// Two hundred viewers ask for what carries sixty: as many get in as fit, each of them gets
// every packet, and those who were there first do not notice.
func TestUplinkAdmission(t *testing.T) {
	t.Parallel()
	c, p := uplinked(t, "uplink: 20M\n")
	const stay = 6 * time.Second
	first := across(t, c, watching, 20, 3*stay) // longer than all that follows
	eventually(t, 20*time.Second, "the first viewers are there", func() bool { return p.stream(t, path).Viewers == watching })
	before, begun := c.carried(t), time.Now()
	second := across(t, c, herd, 0, stay)
	eventually(t, 20*time.Second, "the others have been refused", func() bool { return p.uplink(t).Refused >= herd/2 })
	in := p.stream(t, path).Viewers
	t.Logf("%d viewers are in, uplink %+v", in, p.uplink(t))
	v := second.finish(t, stay+40*time.Second)
	over, took := c.carried(t).since(before), time.Since(begun)
	w := first.finish(t, 3*stay+40*time.Second)
	t.Logf("the cable carried %.1f Mbit/s", kbits(over.down, took)/1000)
	for name, x := range map[string]verdict{"those who came first": w, "those who came then": v} {
		t.Logf("%s: %d joined, %d there at the end, delivery min %.5f, %d packets missing, join max %.0f ms, latency p50 %.0f ms, p99 %.0f ms, max %.0f ms, longest pause %.0f ms, failures %v",
			name, x.Clients.Connected, x.Clients.AliveAtEnd, x.Delivery.Min, x.Gaps.Packets, x.Join.Max, x.Latency.P50, x.Latency.P99, x.Latency.Max, x.Stalls.Longest, x.Failures)
		if x.Delivery.Min < 0.999 || x.Gaps.Packets > 0 || x.Protocol > 0 || x.Clients.AliveAtEnd != x.Clients.Connected {
			t.Errorf("%s were not served whole", name)
		}
	}
	if in < fitting*8/10 || in > fitting*11/10 {
		t.Errorf("%d viewers were let in, about %d fit", in, fitting)
	}
	if w.Clients.Connected != watching || watching+v.Clients.Connected != in {
		t.Errorf("%d of the first and %d of the others joined, %d were let in", w.Clients.Connected, v.Clients.Connected, in)
	}
	if refused := v.Failures["answer 453 Not Enough Bandwidth"]; refused != herd-v.Clients.Connected {
		t.Errorf("%d were refused with 453, want %d", refused, herd-v.Clients.Connected)
	}
}
