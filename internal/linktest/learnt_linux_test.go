package linktest

import (
	"testing"
	"time"
)

// endings counts by reason the viewers who are gone.
func (p *pump) endings(t *testing.T) map[string]int {
	t.Helper()
	var gone []struct{ Reason string }
	p.get(t, "/api/v1/viewers?state=closed", &gone)
	n := map[string]int{}
	for _, v := range gone {
		n[v.Reason]++
	}
	return n
}

// Nobody has told the pump what its uplink carries. When a herd comes that does not fit, it finds out and sends away
// those who came last; whoever comes then is refused beforehand. Those who were there first lose nothing.
func TestUplinkIsLearnt(t *testing.T) {
	t.Parallel()
	c, p := uplinked(t, "uplink: auto\n")
	first := across(t, c, watching, 40, 36*time.Second) // longer than all that follows
	eventually(t, 20*time.Second, "the first viewers get packets", func() bool {
		s := p.stream(t, path)
		return s.Viewers == watching && p.figure(t, `stream_pump_join_seconds_count{stream="`+path+`"}`) == watching
	})
	if u := p.uplink(t); u.Max != 0 {
		t.Fatalf("an uplink was learnt that is wide enough: %+v", u)
	}
	begun := time.Now()
	second := across(t, c, herd, 0, time.Minute)
	eventually(t, 30*time.Second, "the uplink is learnt, and those who are too many are gone", func() bool {
		return p.uplink(t).Max > 0 && p.stream(t, path).Viewers <= fitting
	})
	t.Logf("learnt after %.1f s: %+v, %d viewers, gone: %v", time.Since(begun).Seconds(), p.uplink(t), p.stream(t, path).Viewers, p.endings(t))
	v := second.leave(t)
	eventually(t, 30*time.Second, "the herd has left", func() bool { return p.stream(t, path).Viewers <= watching })
	if got := p.endings(t)["uplink"]; got < herd/2 {
		t.Errorf("%d were sent away", got)
	}
	x := across(t, c, herd/2, 0, 5*time.Second).finish(t, 40*time.Second)
	w := first.finish(t, 90*time.Second)
	for _, r := range []struct {
		who string
		verdict
	}{{"those who came first", w}, {"the herd", v}, {"those who came then", x}} {
		t.Logf("%s: %d joined, %d there at the end, delivery min %.5f, %d packets missing, latency p50 %.0f ms, p99 %.0f ms, max %.0f ms, longest pause %.0f ms, failures %v",
			r.who, r.Clients.Connected, r.Clients.AliveAtEnd, r.Delivery.Min, r.Gaps.Packets, r.Latency.P50, r.Latency.P99, r.Latency.Max, r.Stalls.Longest, r.Failures)
	}
	if w.Clients.AliveAtEnd != watching || w.Delivery.Min < 0.999 || w.Gaps.Packets > 0 {
		t.Error("those who came first were not served whole")
	}
	if x.Delivery.Min < 0.999 || x.Gaps.Packets > 0 || x.Clients.AliveAtEnd != x.Clients.Connected {
		t.Error("those who came then and were let in were not served whole")
	}
	if in := x.Clients.Connected; in < 1 || watching+in > fitting*11/10 || x.Failures["answer 453 Not Enough Bandwidth"] != herd/2-in {
		t.Errorf("%d of those who came then were let in, and not all others refused with 453", in)
	}
	if u := p.uplink(t); u.Max < 14e6 || u.Max > 21e6 {
		t.Errorf("the uplink is taken for %+v", u)
	}
}

// The same when they come one after the other, until it is a few too many: then TCP starves some connections and leaves
// the others alone, and no half of the viewers is ever behind.
func TestUplinkIsLearntLittleByLittle(t *testing.T) {
	t.Parallel()
	c, p := uplinked(t, "uplink: auto\n")
	first := across(t, c, watching, 40, 33*time.Second) // longer than all that follows
	eventually(t, 20*time.Second, "the first viewers are there", func() bool { return p.stream(t, path).Viewers == watching })
	begun := time.Now()
	second := across(t, c, 60, 4, time.Minute)
	eventually(t, 30*time.Second, "the uplink is learnt", func() bool { return p.uplink(t).Max > 0 })
	t.Logf("learnt after %.1f s: %+v, %d viewers, gone: %v", time.Since(begun).Seconds(), p.uplink(t), p.stream(t, path).Viewers, p.endings(t))
	eventually(t, 30*time.Second, "others are refused", func() bool { return p.uplink(t).Refused > 0 })
	u, in := p.uplink(t), p.stream(t, path).Viewers
	v, w := second.leave(t), first.finish(t, 90*time.Second)
	t.Logf("%+v, %d viewers; those who came first: delivery min %.5f, %d packets missing, latency p99 %.0f ms, max %.0f ms; then: %d joined, failures %v",
		u, in, w.Delivery.Min, w.Gaps.Packets, w.Latency.P99, w.Latency.Max, v.Clients.Connected, v.Failures)
	if w.Clients.AliveAtEnd != watching || w.Delivery.Min < 0.999 || w.Gaps.Packets > 0 {
		t.Error("those who came first were not served whole")
	}
	if in < watching || in > fitting*11/10 || u.Max < 14e6 || u.Max > 21e6 {
		t.Errorf("%d viewers are in, of an uplink that is taken for %+v", in, u)
	}
}
