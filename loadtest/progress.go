package loadtest

import (
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	liveEvery = 250 * time.Millisecond
	lineEvery = 5 * time.Second
)

// progress tells how the run goes: a line that changes on a terminal, a line every few seconds elsewhere.
type progress struct {
	w     io.Writer
	live  bool
	width int
	shown time.Time
	last  mark
	open  bool // the line on the terminal is not ended
}

func newProgress(o Options) *progress {
	return &progress{w: o.Progress, live: o.LiveLine, width: o.LineWidth}
}

// say writes a line of its own.
func (p *progress) say(text string) {
	if p.w == nil {
		return
	}
	p.end()
	fmt.Fprintln(p.w, text)
}

// show writes the line when it is time.
func (p *progress) show(r *run) {
	every := lineEvery
	if p.live {
		every = liveEvery
	}
	if p.w == nil || time.Since(p.shown) < every {
		return
	}
	p.shown = time.Now()
	m := r.mark()
	if p.last.at.IsZero() {
		p.last = m
		p.last.at = r.begun
		p.last.bytes = 0
	}
	line := progressLine(r, p.last, m)
	if p.last = m; !p.live {
		fmt.Fprintln(p.w, line)
		return
	}
	if runes := []rune(line); len(runes) >= p.width {
		line = string(runes[:p.width-1])
	}
	fmt.Fprint(p.w, "\r\x1b[K"+line)
	p.open = true
}

func progressLine(r *run, before, m mark) string {
	took := m.at.Sub(before.at).Seconds()
	what := r.stage
	if len(r.o.Phases) > 1 {
		what = fmt.Sprintf("%s, %s", r.o.Phases[r.phase].Name, what)
	}
	line := fmt.Sprintf("%5.0f s  %-8s %6d/%d viewers  %8.1f Mbit/s", m.at.Sub(r.begun).Seconds(), what, m.alive, r.active,
		ratio(float64(m.bytes-before.bytes)*8/1e6, took))
	for _, n := range []struct {
		name  string
		count int64
	}{{"failed", m.failed}, {"lost", int64(m.lost)}, {"errors", int64(m.protocol)}} {
		if n.count > 0 {
			line += fmt.Sprintf("  %s %d", n.name, n.count)
		}
	}
	if r.server.id > 0 {
		line += fmt.Sprintf("  server %.2f cores %s", ratio((m.server.cpu-before.server.cpu).Seconds(), took), bytesText(m.server.rss))
	}
	return line
}

// phaseDone notes the end of a phase among several.
func (p *progress) phaseDone(r *run, result phaseResult) {
	if len(r.o.Phases) > 1 {
		p.say("phase " + phaseLine(result.report()))
	}
}

// end closes the line on a terminal.
func (p *progress) end() {
	if p.open {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.open = false
	}
}

// bytesText is a size a person can read.
func bytesText(n uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	v, i := float64(n), 0
	for v >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	if i == 0 || v >= 100 {
		return fmt.Sprintf("%.0f %s", v, units[i])
	}
	return strings.Replace(fmt.Sprintf("%.1f %s", v, units[i]), ".0 ", " ", 1)
}
