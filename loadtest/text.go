package loadtest

import (
	"fmt"
	"io"
	"strings"
)

// WriteText writes the report for a person.
func (rep *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "\nLoad test of %s\n\n", strings.Join(rep.subjects(), ", "))
	c := rep.Clients
	row("viewers", "%d asked for, %d joined, %d failed, %d there at the end%s", c.Requested, c.Connected, c.Failed,
		c.AliveAtEnd, listed(rep.Failures))
	if s := rep.Slow; s.Clients > 0 {
		row("", "%d of them slow on purpose, of which the server let %d go", s.Clients, s.Dropped)
	}
	if rep.Churned+rep.Rejoined > 0 {
		row("", "%d left and came back, %d came back after an end", rep.Churned, rep.Rejoined)
	}
	row("joins", "%s   (connect → first key frame)", rep.Join)
	row("delivery", "%s   (received ÷ published, per viewer)", rep.deliveryText())
	row("gaps", "%s in %s", plural(rep.Gaps.Packets, "lost packet"), plural(uint64(rep.Gaps.Clients), "viewer"))
	row("errors", "%s of protocol or content", number(rep.Protocol))
	if rep.Setup.Stamped {
		row("latency", "%s   (due at the source → received)", rep.Latency)
	} else {
		row("latency", "not measurable: the source is not ours")
	}
	if s := rep.Stalls; s.Count > 0 {
		row("stalls", "%d of more than %.0f ms, in %s, the longest %.0f ms", s.Count, s.Threshold,
			plural(uint64(s.Clients), "viewer"), s.Longest)
	}
	row("throughput", "%.1f Mbit/s over %.1f s", rep.Mbit, rep.DurationS)
	rep.costs(row)
	rep.phaseRows(&b)
	rep.faultRows(&b)
	rep.verdictRows(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// deliveryText is how much came, where somebody was there to count it.
func (rep *Report) deliveryText() string {
	if rep.Clients.Connected <= rep.Slow.Clients {
		return "none"
	}
	d := rep.Delivery
	return fmt.Sprintf("worst %s   1 %% %s   median %s", share(d.Min), share(d.P01), share(d.P50))
}

func (rep *Report) subjects() []string {
	list := rep.Setup.URLs
	if rep.Setup.OwnPump {
		return []string{fmt.Sprintf("an own pump: one stream of %s kbit/s in packets of %d bytes", number(uint64(rep.Setup.Rate/1000)),
			rep.Setup.Packet)}
	}
	const most = 3
	if len(list) > most {
		return append(list[:most:most], fmt.Sprintf("and %d more", len(list)-most))
	}
	return list
}

func (rep *Report) costs(row func(name, format string, args ...any)) {
	if s := rep.Server; s.PID > 0 {
		row("server", "%.0f µs of processor a viewer-second (%.2f cores)   memory %s, at most %s%s", s.PerViewer,
			ratio(s.CPU, rep.DurationS), bytesText(s.RSS), bytesText(s.Peak), rep.perViewerMemory())
	}
	row("load tester", "%s", rep.ownCost())
	row("", "%s", rep.ownMeans())
	if m := rep.Machine; m.Busy > 0 {
		row("machine", "%s, %.0f %% busy", plural(uint64(m.Processors), "processor"), m.Busy*100)
	}
	if s := rep.Source; s != nil {
		row("source", "%s, %.1f ms late at most", plural(s.Published, "packet"), s.LateMax)
	}
}

// ownCost says what the load tester itself took, beside the server, and whether that was too much.
func (rep *Report) ownCost() string {
	t := rep.Tester
	text := fmt.Sprintf("%.0f µs a viewer-second (%.2f cores)", t.PerViewer, ratio(t.CPU, rep.DurationS))
	if t.OfServer > 0 {
		text += fmt.Sprintf(", %.2f × the server", t.OfServer)
	}
	text += fmt.Sprintf(", busiest loop %.0f %%: ", t.Busy*100)
	if t.Bottleneck {
		return text + "it was the bottleneck"
	}
	return text + "not the bottleneck"
}

// ownMeans says what the load tester does it with.
func (rep *Report) ownMeans() string {
	t := rep.Tester
	if t.Reader == "" {
		return fmt.Sprintf("a goroutine a viewer, memory %s", bytesText(t.RSS))
	}
	return fmt.Sprintf("%s, reading through %s, memory %s", plural(uint64(t.Loops), "loop"), t.Reader, bytesText(t.RSS))
}

// perViewerMemory is what each viewer added.
func (rep *Report) perViewerMemory() string {
	s, n := rep.Server, rep.Clients.AliveAtEnd
	if n < 100 || s.RSS <= s.BaseRSS {
		return ""
	}
	return fmt.Sprintf(" (%s a viewer)", bytesText((s.RSS-s.BaseRSS)/uint64(n)))
}

func (rep *Report) phaseRows(b *strings.Builder) {
	if len(rep.Phases) < 2 {
		return
	}
	b.WriteString("\n  phases\n")
	for _, p := range rep.Phases {
		b.WriteString("    " + phaseLine(p) + "\n")
	}
}

func phaseLine(p PhaseReport) string {
	return fmt.Sprintf("%s: %d viewers, %d there at its end, %.0f Mbit/s, joins p99 %s, latency p99 %s, server %.0f µs a viewer-second",
		p.Name, p.Clients, p.Alive, p.Mbit, ms(p.Join.P99), ms(p.Latency.P99), p.PerViewer)
}

func (rep *Report) faultRows(b *strings.Builder) {
	if len(rep.Faults) == 0 {
		return
	}
	const most = 8
	b.WriteString("\n  first errors and losses\n")
	for i, f := range rep.Faults {
		if i == most {
			fmt.Fprintf(b, "    … %d more in the JSON report\n", len(rep.Faults)-most)
			break
		}
		fmt.Fprintf(b, "    %s\n", f)
	}
}

func (rep *Report) verdictRows(b *strings.Builder) {
	fmt.Fprintf(b, "\n  %s\n", map[string]string{Pass: "PASS", Fail: "FAIL", Inconclusive: "INCONCLUSIVE"}[rep.Verdict])
	for _, why := range rep.Reasons {
		fmt.Fprintf(b, "    %s\n", why)
	}
	for _, note := range rep.Notes {
		fmt.Fprintf(b, "    note: %s\n", note)
	}
}

// String is the quantiles in a line.
func (q Quantiles) String() string {
	if q.Count == 0 {
		return "none"
	}
	return fmt.Sprintf("median %s   95 %% %s   99 %% %s   max %s", ms(q.P50), ms(q.P95), ms(q.P99), ms(q.Max))
}

func ms(v float64) string {
	switch {
	case v >= 10_000:
		return fmt.Sprintf("%.1f s", v/1000)
	case v >= 100:
		return fmt.Sprintf("%.0f ms", v)
	}
	return fmt.Sprintf("%.1f ms", v)
}

// share is in percent, never rounded up to all.
func share(v float64) string {
	if v >= 1 {
		return "100 %"
	}
	return fmt.Sprintf("%.3f %%", min(v*100, 99.999))
}

// number groups thousands.
func number(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
