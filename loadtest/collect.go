package loadtest

import (
	"maps"
	"runtime"
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// report sums up all crews and phases, without the verdict.
func (r *run) report() *Report {
	end := r.mark()
	rep := &Report{Interrupted: r.stopped(), Failures: map[string]int{}, Protocol: end.protocol,
		Churned: end.churned, Rejoined: end.rejoined, Ended: end.ended, Series: r.series, Setup: r.setup(),
		Clients: ClientCounts{Requested: r.o.Clients, Connected: int(end.joined), AliveAtEnd: int(end.alive),
			Failed: max(0, r.o.Clients-int(end.joined))}}
	rep.Stalls.Threshold = float64(stallAfter.Milliseconds())
	r.sumPhases(rep)
	r.sumCrews(rep)
	return rep
}

func (r *run) setup() Setup {
	s := Setup{OwnPump: r.own != nil, Ramp: r.o.Phases[0].Ramp, Slow: r.o.Slow, SlowBPS: r.o.SlowBPS,
		Churn: r.o.Phases[0].Churn, MinDelivery: r.o.MinDelivery, MaxJoin: float64(r.o.MaxJoin.Milliseconds())}
	for _, t := range r.targets {
		s.URLs = append(s.URLs, t.shown())
	}
	if r.own != nil {
		s.Rate, s.Packet = r.o.Rate, r.o.Packet
	}
	return s
}

func (r *run) sumPhases(rep *Report) {
	var viewerSeconds float64
	var machine machineTime
	for i := range r.phases {
		p := &r.phases[i]
		rep.Phases = append(rep.Phases, p.report())
		rep.DurationS += p.seconds()
		rep.Bytes += p.bytes()
		rep.Server.CPU += p.serverCPU()
		rep.Tester.CPU += p.ownCPU()
		rep.Server.RSS, rep.Tester.RSS = p.to.server.rss, p.to.self.rss
		rep.Tester.Busy = max(rep.Tester.Busy, p.efforts.busy)
		rep.Tester.LagP99 = max(rep.Tester.LagP99, p.efforts.lagP99)
		rep.Tester.LagMax = max(rep.Tester.LagMax, p.efforts.lagMax)
		rep.Tester.JoinToil = max(rep.Tester.JoinToil, p.joining.toil)
		viewerSeconds += p.viewerSeconds()
		machine.add(p.from.machine, p.to.machine)
	}
	rep.Mbit = ratio(float64(rep.Bytes)*8/1e6, rep.DurationS)
	rep.Server.PID, rep.Server.Peak, rep.Server.BaseRSS = max(r.server.id, 0), r.server.peak, r.server.base
	rep.Server.PerViewer = ratio(rep.Server.CPU*1e6, viewerSeconds)
	rep.Tester.PerViewer = ratio(rep.Tester.CPU*1e6, viewerSeconds)
	rep.Tester.OfServer = ratio(rep.Tester.CPU, rep.Server.CPU)
	rep.Tester.Loops, rep.Tester.Reader = r.o.Loops, r.reader
	rep.Machine = Machine{Processors: runtime.NumCPU(), Busy: ratio(float64(machine.busy), float64(machine.all)),
		Dropped: queueDrops() - r.dropped}
	if r.noIntake != nil {
		rep.Notes = append(rep.Notes, "no io_uring here, viewers were read through epoll: "+r.noIntake.Error())
	}
}

func (r *run) sumCrews(rep *Report) {
	join, latency := newHistogram(), newHistogram()
	var shares []float64
	foreign, lateKeys := false, uint64(0)
	for _, c := range r.crews {
		c.do(func() {
			t := c.tallied()
			join.Merge(t.join)
			latency.Merge(t.latency)
			for why, n := range t.failures {
				rep.Failures[why] += n
			}
			rep.Faults = append(rep.Faults, t.faults...)
			rep.Setup.Stamped = rep.Setup.Stamped || t.stamped
			foreign, lateKeys = foreign || t.foreign, lateKeys+t.lateKeys
			rep.Slow.Dropped += int(t.slowEnded.Load())
			rep.Slow.Gaps += t.slowLost.Load()
			c.each(func(v *client) { shares = rep.addViewer(v, shares) })
		})
	}
	rep.Join, rep.Latency = quantilesOf(join), quantilesOf(latency)
	rep.Delivery = deliveryOf(shares)
	rep.Shape = Shapes{Delivery: deliveryBars(shares), Join: shapeOf(join), Latency: shapeOf(latency)}
	rep.Faults = rep.Faults[:min(len(rep.Faults), maxFaults)]
	if foreign {
		rep.Notes = append(rep.Notes, "the source runs on another machine, whose clock is not ours: no latency")
	}
	if lateKeys > 0 {
		rep.Notes = append(rep.Notes, plural(lateKeys, "connection")+" did not begin with a key frame, which this source's stamps do not promise")
	}
}

// addViewer adds one viewer's figures, and its delivery to shares.
func (rep *Report) addViewer(v *client, shares []float64) []float64 {
	if v.cohort != steady {
		rep.Slow.Clients++
		return shares
	}
	if v.stalls > 0 {
		rep.Stalls.Clients++
		rep.Stalls.Count += uint64(v.stalls)
		rep.Stalls.Longest = max(rep.Stalls.Longest, float64(v.longest)/1e6)
	}
	if v.reader.missing > 0 {
		rep.Gaps.Clients++
		rep.Gaps.Packets += v.reader.missing
	}
	if share, any := v.reader.delivery(); any {
		shares = append(shares, share)
	}
	return shares
}

func deliveryOf(shares []float64) Delivery {
	if len(shares) == 0 {
		return Delivery{}
	}
	slices.Sort(shares)
	n := len(shares)
	return Delivery{Min: shares[0], P01: shares[n/100], P50: shares[n/2]}
}

// deliveryBars counts viewers by delivery; the last bar is those that got everything.
func deliveryBars(shares []float64) []Bar {
	if len(shares) == 0 {
		return nil
	}
	bars := []Bar{{UpTo: 0.5}, {UpTo: 0.9}, {UpTo: 0.95}, {UpTo: 0.99}, {UpTo: 0.995}, {UpTo: 0.999}, {UpTo: 0.9999}, {UpTo: 1}}
	for _, s := range shares {
		for i := range bars {
			if s < bars[i].UpTo || i == len(bars)-1 {
				bars[i].Count++
				break
			}
		}
	}
	return bars
}

func shapeOf(h *hdrhistogram.Histogram) []Bar {
	if h.TotalCount() == 0 {
		return nil
	}
	return barsOf(h)
}

// causes are the failures, most frequent first.
func causes(failures map[string]int) []string {
	return slices.SortedFunc(maps.Keys(failures), func(a, b string) int {
		if d := failures[b] - failures[a]; d != 0 {
			return d
		}
		if a < b {
			return -1
		}
		return 1
	})
}
