package loadtest

import (
	"fmt"
	"strings"
)

const (
	tooBusy    = 0.95  // share of its time that a loop may work
	tooLagging = 100.0 // ms that a loop or the source may be behind its own timetable, 99 % of the time
)

// judge writes the verdict.
func judge(rep *Report, o Options) {
	why := shortfalls(rep, o)
	own := ownFaults(rep, o)
	rep.Tester.Bottleneck = len(own) > 0
	switch {
	case rep.Protocol > 0 && len(own) > 0: // what must not be received is nobody's lack of time
		rep.Verdict, why = Fail, append(why, own...)
	case len(own) > 0:
		rep.Verdict, why = Inconclusive, append(own, why...)
	case len(why) > 0:
		rep.Verdict = Fail
	default:
		rep.Verdict = Pass
	}
	rep.Reasons = why
	if rep.Interrupted {
		rep.Notes = append(rep.Notes, "stopped before its time")
	}
	if rep.Gaps.Packets > 0 && rep.Verdict == Pass {
		rep.Notes = append(rep.Notes, fmt.Sprintf("%s lost %s, within the threshold",
			plural(uint64(rep.Gaps.Clients), "viewer"), plural(rep.Gaps.Packets, "packet")))
	}
	if c := rep.Clients; c.Connected > 0 && rep.Slow.Clients >= c.Connected {
		rep.Notes = append(rep.Notes, "all viewers were slow on purpose: delivery, gaps and latency were not judged")
	}
	if m := rep.Machine; m.Busy >= tooBusy {
		rep.Notes = append(rep.Notes, fmt.Sprintf("this machine was full (%.0f %% of %s), of which the load tester took %.2f and the server %.2f: with a machine of its own the server may do better",
			m.Busy*100, plural(uint64(m.Processors), "processor"), ratio(rep.Tester.CPU, rep.DurationS), ratio(rep.Server.CPU, rep.DurationS)))
	}
	if n := rep.Machine.Dropped; n > 0 {
		rep.Notes = append(rep.Notes, fmt.Sprintf("%s between programs of this machine found a queue full and had to be sent again, mostly acknowledgements (net.core.netdev_max_backlog: the second column of /proc/net/softnet_stat grew)",
			plural(n, "packet")))
	}
	if rep.Stalls.Count > 0 {
		rep.Notes = append(rep.Notes, fmt.Sprintf("%s had no data for more than %.0f ms, at worst %.0f ms",
			plural(uint64(rep.Stalls.Clients), "viewer"), rep.Stalls.Threshold, rep.Stalls.Longest))
	}
}

// shortfalls are what the server did not do.
func shortfalls(rep *Report, o Options) []string {
	var why []string
	c := rep.Clients
	if c.Failed > 0 {
		why = append(why, fmt.Sprintf("%d of %s never got a key frame%s", c.Failed, plural(uint64(c.Requested), "viewer"),
			listed(rep.Failures)))
	}
	if rep.Protocol > 0 {
		why = append(why, plural(rep.Protocol, "protocol error")+first(rep.Faults))
	}
	if rep.Delivery.Min < o.MinDelivery && c.Connected > rep.Slow.Clients {
		why = append(why, fmt.Sprintf("delivery of the worst viewer %.4f, below %.4g", rep.Delivery.Min, o.MinDelivery))
	}
	if most := float64(o.MaxJoin.Microseconds()) / 1000; rep.Join.Max > most {
		why = append(why, fmt.Sprintf("the slowest join took %.0f ms, above %.0f", rep.Join.Max, most))
	}
	wanted := o.Phases[len(o.Phases)-1].Clients - rep.Slow.Dropped
	if lost := wanted - c.Failed - c.AliveAtEnd; lost > 0 && !rep.Interrupted {
		why = append(why, plural(uint64(lost), "viewer")+" did not stay to the end"+listed(rep.Failures))
	}
	return why
}

// ownFaults are why the figures are not the server's.
func ownFaults(rep *Report, o Options) []string {
	var why []string
	if t := rep.Tester; t.Busy >= tooBusy {
		why = append(why, fmt.Sprintf("the load tester itself was busy %.0f %% of the time: use fewer viewers or a bigger machine", t.Busy*100))
	} else if t.LagP99 >= tooLagging {
		why = append(why, fmt.Sprintf("the load tester itself was %.0f ms late (99 %%): use fewer viewers or a bigger machine", t.LagP99))
	}
	if most := float64(o.MaxJoin.Microseconds()) / 1000; rep.Join.Max > most && rep.Tester.JoinToil > most/2 {
		why = append(why, fmt.Sprintf("the load tester itself had no rest for %.0f ms while viewers joined: use a slower ramp, or more source addresses (-sources)", rep.Tester.JoinToil))
	}
	if s := rep.Source; s != nil && s.LateP99 >= tooLagging {
		why = append(why, fmt.Sprintf("the synthetic source was %.0f ms late (99 %%)", s.LateP99))
	}
	return why
}

// listed names the causes in brackets.
func listed(failures map[string]int) string {
	const most = 4
	var parts []string
	for i, why := range causes(failures) {
		if i == most {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, fmt.Sprintf("%s ×%d", why, failures[why]))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

func first(faults []Fault) string {
	for _, f := range faults {
		if f.Kind != "lost" {
			return ", the first: " + f.String()
		}
	}
	return ""
}

// String is the fault in a line.
func (f Fault) String() string {
	return fmt.Sprintf("client %d, packet %d, at byte %d: %s", f.Client, f.Packet, f.Place, f.Text)
}

// plural is a number with its noun.
func plural(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
