package loadtest

import (
	"fmt"
	"html/template"
	"io"
)

// WriteHTML writes the report as one page that needs nothing else: styles and charts are inside.
func (rep *Report) WriteHTML(w io.Writer) error {
	return pageTemplate.Execute(w, page{Report: rep, Title: "Load test", Charts: rep.charts()})
}

// page is what the template sees. html/template escapes everything but the charts, which are built from numbers and
// from labels that are escaped there.
type page struct {
	*Report
	Title  string
	Charts []chart
}

type chart struct {
	Title string
	SVG   template.HTML
}

// Subjects are the addresses, or what stands for them.
func (p page) Subjects() []string { return p.subjects() }

// Facts are the rows of the table.
func (p page) Facts() [][2]string {
	c, s := p.Clients, p.Report.Server
	rows := [][2]string{
		{"Viewers", fmt.Sprintf("%d asked for, %d joined, %d failed, %d there at the end", c.Requested, c.Connected, c.Failed, c.AliveAtEnd)},
		{"Joins", p.Report.Join.String()},
		{"Delivery", fmt.Sprintf("worst %s, 1 %% %s, median %s", share(p.Report.Delivery.Min), share(p.Report.Delivery.P01), share(p.Report.Delivery.P50))},
		{"Gaps", plural(p.Report.Gaps.Packets, "lost packet") + " in " + plural(uint64(p.Report.Gaps.Clients), "viewer")},
		{"Protocol errors", number(p.Protocol)},
		{"Latency", "not measurable: the source is not ours"},
		{"Throughput", fmt.Sprintf("%.1f Mbit/s over %.1f s", p.Mbit, p.DurationS)},
	}
	if p.Report.Setup.Stamped {
		rows[5][1] = p.Report.Latency.String()
	}
	if s.PID > 0 {
		rows = append(rows, [2]string{"Server", fmt.Sprintf("%.0f µs a viewer-second (%.2f cores), memory %s, at most %s",
			s.PerViewer, ratio(s.CPU, p.DurationS), bytesText(s.RSS), bytesText(s.Peak))})
	}
	rows = append(rows, [2]string{"Load tester", p.ownCost() + "; " + p.ownMeans()})
	if n := p.Report.Stalls.Count; n > 0 {
		rows = append(rows, [2]string{"Stalls", fmt.Sprintf("%d in %s, the longest %.0f ms", n,
			plural(uint64(p.Report.Stalls.Clients), "viewer"), p.Report.Stalls.Longest)})
	}
	return rows
}

// FirstFaults are as many as fit a page.
func (p page) FirstFaults() []Fault { return p.Faults[:min(len(p.Faults), 20)] }

// Lines of phases.
func (p page) PhaseLines() []string {
	var lines []string
	if len(p.Phases) > 1 {
		for _, ph := range p.Phases {
			lines = append(lines, phaseLine(ph))
		}
	}
	return lines
}

// Causes are the failures, most frequent first.
func (p page) Causes() []string {
	var lines []string
	for _, why := range causes(p.Failures) {
		lines = append(lines, fmt.Sprintf("%s ×%d", why, p.Failures[why]))
	}
	return lines
}

var pageTemplate = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}: {{.Verdict}}</title>
<style>
:root{--fg:#1c2430;--dim:#5d6b7c;--line:#d9dfe6;--bg:#fff;--a:#1769aa;--b:#c2571a;--fill:#1769aa22}
@media (prefers-color-scheme:dark){:root{--fg:#e3e8ee;--dim:#97a4b3;--line:#33404d;--bg:#12181f;--a:#6cb4ee;--b:#f0985a;--fill:#6cb4ee2a}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);max-width:70rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem;margin:0 0 .2rem}h2{font-size:1rem;margin:1.6rem 0 .4rem}
.dim{color:var(--dim)}
.verdict{display:inline-block;padding:.1rem .7rem;border-radius:.4rem;color:#fff;font-weight:600;text-transform:uppercase}
.pass{background:#1b7f4b}.fail{background:#b3261e}.inconclusive{background:#8a6100}
table{border-collapse:collapse}td{padding:.15rem 1.2rem .15rem 0;vertical-align:top}td:first-child{color:var(--dim);white-space:nowrap}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(20rem,1fr));gap:1rem}
figure{margin:0;border:1px solid var(--line);border-radius:.5rem;padding:.6rem}figcaption{font-weight:600;font-size:.9rem}
svg{width:100%;height:auto;display:block}svg text{fill:var(--dim);font:11px system-ui,sans-serif}
.axis{stroke:var(--line)}.a{stroke:var(--a);fill:none;stroke-width:1.6}.b{stroke:var(--b);fill:none;stroke-width:1.6}
.bar{fill:var(--a)}.steady{fill:var(--fill)}code{font-size:.9em}
</style>
</head>
<body>
<h1>Load test <span class="verdict {{.Verdict}}">{{.Verdict}}</span></h1>
<p class="dim">{{range $i, $s := .Subjects}}{{if $i}}, {{end}}{{$s}}{{end}}</p>
{{if .Reasons}}<ul>{{range .Reasons}}<li>{{.}}</li>{{end}}</ul>{{end}}
{{if .Notes}}<ul class="dim">{{range .Notes}}<li>{{.}}</li>{{end}}</ul>{{end}}
<table>{{range .Facts}}<tr><td>{{index . 0}}</td><td>{{index . 1}}</td></tr>{{end}}</table>
<h2>Charts</h2>
<div class="charts">{{range .Charts}}<figure><figcaption>{{.Title}}</figcaption>{{.SVG}}</figure>{{end}}</div>
{{with .PhaseLines}}<h2>Phases</h2><ul>{{range .}}<li>{{.}}</li>{{end}}</ul>{{end}}
{{with .Causes}}<h2>Why viewers failed</h2><ul>{{range .}}<li>{{.}}</li>{{end}}</ul>{{end}}
{{with .FirstFaults}}<h2>First errors and losses</h2><ul>{{range .}}<li><code>{{.}}</code></li>{{end}}</ul>{{end}}
</body>
</html>
`))
