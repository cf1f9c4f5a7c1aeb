//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// results is all that a table needs.
type results struct {
	Began    string            `json:"began"`
	Machine  string            `json:"machine"`
	How      string            `json:"command"`
	Versions map[string]string `json:"versions"`
	Runs     []row             `json:"runs"`
}

type caseKey struct {
	server        string
	viewers, rate int
}

// medians puts the rounds of each case together, in order of appearance, and adds the
// ratios: each is the median of the ratios within a round.
func (r *results) medians() []row {
	var order []caseKey
	rounds := map[caseKey][]row{}
	for _, one := range r.withRatios() {
		k := caseKey{one.Server, one.Viewers, one.RateBPS}
		if rounds[k] == nil {
			order = append(order, k)
		}
		rounds[k] = append(rounds[k], one)
	}
	var list []row
	for _, k := range order {
		list = append(list, median(rounds[k]))
	}
	return list
}

func (r *results) withRatios() []row {
	runs := slices.Clone(r.Runs)
	for i := range runs {
		of := slices.IndexFunc(runs, func(o row) bool {
			return o.Server == pump.name && o.Round == runs[i].Round && o.Viewers == runs[i].Viewers && o.RateBPS == runs[i].RateBPS
		})
		if of >= 0 && runs[of].CPU > 0 {
			runs[i].Ratio = runs[i].CPU / runs[of].CPU
		}
	}
	return runs
}

// median of the runs that worked; what must not be averaged is the worst.
func median(runs []row) row {
	good := slices.DeleteFunc(slices.Clone(runs), func(r row) bool { return r.Trouble != "" })
	if len(good) == 0 {
		return runs[0]
	}
	of := func(field func(*row) *float64) float64 {
		var values []float64
		for i := range good {
			values = append(values, *field(&good[i]))
		}
		slices.Sort(values)
		return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
	}
	m := good[0]
	m.Round, m.Broken = 0, len(runs)-len(good)
	for _, field := range []func(*row) *float64{
		func(r *row) *float64 { return &r.BPS }, func(r *row) *float64 { return &r.CPU }, func(r *row) *float64 { return &r.CPUs },
		func(r *row) *float64 { return &r.IdleCPUs }, func(r *row) *float64 { return &r.RSS }, func(r *row) *float64 { return &r.Segments },
		func(r *row) *float64 { return &r.JoinP50 }, func(r *row) *float64 { return &r.JoinP99 }, func(r *row) *float64 { return &r.GapP99 },
		func(r *row) *float64 { return &r.Ratio }, func(r *row) *float64 { return &r.Machine }, func(r *row) *float64 { return &r.Audience },
		func(r *row) *float64 { return &r.Hottest }, func(r *row) *float64 { return &r.Stolen },
	} {
		*field(&m) = of(field)
	}
	m.CPULeast, m.CPUMost = m.CPU, m.CPU
	for _, r := range good {
		m.Joined, m.Served = min(m.Joined, r.Joined), min(m.Served, r.Served)
		m.WorstBPS = min(m.WorstBPS, r.WorstBPS)
		m.CPULeast, m.CPUMost = min(m.CPULeast, r.CPU), max(m.CPUMost, r.CPU)
		if m.FirstError == "" {
			m.FirstError = r.FirstError
		}
	}
	return m
}

func (r *results) json() []byte {
	b, err := json.MarshalIndent(struct {
		*results
		Medians []row `json:"medians"`
	}{r, r.medians()}, "", "  ")
	if err != nil {
		panic(err) // a row is plain numbers
	}
	return append(b, '\n')
}

func (r *results) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured %s on %s, all in one go with\n\n    %s\n\n", r.Began, r.Machine, r.How)
	b.WriteString("| viewers × rate | server | protocol | viewers served | Mbit/s per viewer | CPU µs per viewer·s | × pump | CPU without viewers | RSS KiB per viewer | segments per viewer·s | join p50 / p99 ms | longest gap p99 ms | remarks |\n")
	b.WriteString("|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n")
	rows := r.medians()
	for _, m := range rows {
		q := peers[slices.IndexFunc(peers, func(p *peer) bool { return p.name == m.Server })]
		fmt.Fprintf(&b, "| %s × %s | %s | %s ", number(m.Viewers), number(m.RateBPS), q.title, q.protocol)
		if m.Trouble != "" {
			fmt.Fprintf(&b, "| – | – | – | – | – | – | – | – | – | %s |\n", strings.NewReplacer("|", "/", "\n", "; ").Replace(m.Trouble))
			continue
		}
		fmt.Fprintf(&b, "| %d / %d | %.3f | %s | %s | %.1f %% | %.1f | %.1f | %.0f / %.0f | %.0f | %s |\n", m.Served, m.Viewers, m.BPS/1e6, m.cpu(),
			m.ratio(), m.IdleCPUs*100, m.RSS/1024, m.Segments, m.JoinP50, m.JoinP99, m.GapP99, strings.Join(m.remarks(), "; "))
	}
	b.WriteString("\nVersions:\n\n")
	for _, q := range peers {
		if v := r.Versions[q.name]; v != "" {
			fmt.Fprintf(&b, "- %s: %s\n", q.title, v)
		}
	}
	b.WriteString("\n" + notes)
	return b.String()
}

func (r *row) cpu() string {
	if r.CPUMost-r.CPULeast < 0.05 {
		return fmt.Sprintf("%.1f", r.CPU)
	}
	return fmt.Sprintf("%.1f [%.1f–%.1f]", r.CPU, r.CPULeast, r.CPUMost)
}

func (r *row) ratio() string {
	if r.Ratio == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", r.Ratio)
}

// Shares from which something is full, and a rate that is not the source's.
const (
	full      = 0.9
	shortRate = 0.95
	stolen    = 0.03
)

// remarks say what the figures alone do not.
func (r *row) remarks() []string {
	var list []string
	say := func(when bool, format string, args ...any) {
		if when {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	say(r.Broken > 0, "%d more rounds did not come about", r.Broken)
	never := r.Viewers - r.Joined
	say(never > 0, "%d never got in", never)
	say(r.Served < r.Joined, "%d of those who joined fell behind or were cut off, the worst at %.0f %% of the median rate", r.Joined-r.Served, 100*r.WorstBPS/max(r.BPS, 1))
	say(r.BPS < shortRate*r.SourceBPS, "everybody behind: %.0f %% of the source's rate", 100*r.BPS/max(r.SourceBPS, 1))
	say(r.Served < r.Viewers && r.FirstError != "", "first error: %s", strings.ReplaceAll(r.FirstError, "|", "/"))
	say(r.Hottest >= full, "core full: a thread of the server ran %.0f %% of the time", r.Hottest*100)
	say(r.Machine >= full, "machine full (%.0f %%)", r.Machine*100)
	say(r.Audience >= full, "the viewers themselves were at their limit (%.0f %% busy)", r.Audience*100)
	say(r.Stolen >= stolen, "%.0f %% of the machine's time went to its host's other guests", r.Stolen*100)
	return list
}

const notes = `Notes:

- CPU is the server's own user and system time, all its processes, by the viewers that joined. The source is another
  process and not counted, but for VLC, which reads and packs the file itself; the column "CPU without viewers" (of one
  processor, with the stream running, over two seconds) shows how much that is.
- On loopback the kernel does a good part of the viewers' receiving on the sender's time. That holds for every row
  alike: trust the ratios, not the microseconds. Differences under 15 % are none.
- A viewer is served if it was connected to the end, was never left without data at the end, and its rate between its
  first and last piece in the window is at least 99 % of the median's.
- "Segments" are TCP segments with data, as the viewers' kernel counts them: on loopback about one a write.
- Join is TCP connect to the first media whole (Icecast: the first byte of the body). MMSH and RTMP servers may wait for
  a key frame, every two seconds here; Icecast begins with the 64 KiB it has, VLC anywhere.
- The stream's bit rate is the same for all with its container, at the encoder. What arrives differs a little: each
  protocol frames in its own way, and VLC packs the file anew, into packets of 4096 bytes.
- Settings are the defaults, but for: limits of connections; Icecast's queue (4 MiB, so that a busy moment drops nobody);
  nginx's pings (once an hour). nginx-rtmp runs as two instances with one worker each, which share the viewers, the
  first relaying to the second: Debian's module, being loaded dynamically, cannot hand a stream from worker to worker.
- The viewers look at their sockets every few milliseconds, so joins and gaps are no finer than that.

To repeat: ` + "`make bench-peers`" + ` on a quiet machine with Debian.
`
