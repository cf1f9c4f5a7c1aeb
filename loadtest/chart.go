package loadtest

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// Size of a chart's drawing, and of the room its axes take, in its own units.
const (
	chartWidth  = 480.0
	chartHeight = 190.0
	axisLeft    = 52.0
	axisBottom  = 24.0
	axisTop     = 10.0
	axisRight   = 10.0
)

// charts of the page; those without data are left out.
func (rep *Report) charts() []chart {
	var list []chart
	curves := func(title, unit string, c ...curve) {
		if len(rep.Series) > 1 {
			list = append(list, chart{title, lineChart(rep.Series, unit, c)})
		}
	}
	bars := func(title string, b []Bar, label func(i int) string) {
		if len(b) > 0 {
			list = append(list, chart{title, barChart(b, label)})
		}
	}
	curves("Viewers", "", curve{"watching", func(s Sample) float64 { return float64(s.Viewers) }})
	curves("Joins a second", "", curve{"joins", func(s Sample) float64 { return s.Joins }})
	curves("Throughput, Mbit/s", "", curve{"received", func(s Sample) float64 { return s.Mbit }})
	cpu := []curve{{"load tester", func(s Sample) float64 { return s.Own }}}
	if rep.Server.PID > 0 {
		cpu = []curve{{"server", func(s Sample) float64 { return s.Cores }}, cpu[0]}
	}
	curves("Processor, cores", "", cpu...)
	if rep.Server.PID > 0 {
		curves("Server memory, MiB", "", curve{"resident", func(s Sample) float64 { return float64(s.RSS) / (1 << 20) }})
	}
	bars("Join time, viewers by ms", rep.Shape.Join, upTo(rep.Shape.Join))
	bars("Latency, packets by ms", rep.Shape.Latency, upTo(rep.Shape.Latency))
	bars("Delivery, viewers by share received", rep.Shape.Delivery, func(i int) string {
		if i == len(rep.Shape.Delivery)-1 {
			return "all"
		}
		return "<" + strconv.FormatFloat(rep.Shape.Delivery[i].UpTo*100, 'g', 5, 64) + "%"
	})
	return list
}

func upTo(b []Bar) func(int) string {
	return func(i int) string { return short(b[i].UpTo) }
}

// curve is one line of a chart.
type curve struct {
	name  string
	value func(Sample) float64
}

// lineChart draws curves over time, steady phases shaded.
func lineChart(series []Sample, unit string, curves []curve) template.HTML {
	from, to := series[0].At, series[len(series)-1].At
	top := 0.0
	for _, s := range series {
		for _, c := range curves {
			top = max(top, c.value(s))
		}
	}
	top = niceTop(top)
	x := func(t float64) float64 {
		return axisLeft + (t-from)/max(to-from, 1e-9)*(chartWidth-axisLeft-axisRight)
	}
	y := func(v float64) float64 { return chartHeight - axisBottom - v/top*(chartHeight-axisBottom-axisTop) }
	var b strings.Builder
	openChart(&b)
	for i := 1; i < len(series); i++ {
		if series[i].Steady {
			fmt.Fprintf(&b, `<rect class="steady" x="%.1f" y="%.1f" width="%.2f" height="%.1f"/>`, x(series[i-1].At), axisTop,
				x(series[i].At)-x(series[i-1].At)+0.2, chartHeight-axisBottom-axisTop)
		}
	}
	scale(&b, top, unit, y)
	for k := 0; k <= 4; k++ {
		t := from + (to-from)*float64(k)/4
		text(&b, x(t), chartHeight-8, "middle", short(t)+" s")
	}
	for i, c := range curves {
		class := string(rune('a' + i))
		fmt.Fprintf(&b, `<polyline class="%s" points="`, class)
		for _, s := range series {
			fmt.Fprintf(&b, "%.1f,%.1f ", x(s.At), y(c.value(s)))
		}
		b.WriteString(`"/>`)
		if len(curves) > 1 {
			fmt.Fprintf(&b, `<line class="%s" x1="%.0f" x2="%.0f" y1="%.0f" y2="%.0f"/>`, class, axisLeft+8, axisLeft+24, axisTop+8+14*float64(i), axisTop+8+14*float64(i))
			text(&b, axisLeft+28, axisTop+12+14*float64(i), "start", c.name)
		}
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// barChart draws a distribution.
func barChart(bars []Bar, label func(int) string) template.HTML {
	top := 0.0
	for _, b := range bars {
		top = max(top, float64(b.Count))
	}
	top = niceTop(top)
	y := func(v float64) float64 { return chartHeight - axisBottom - v/top*(chartHeight-axisBottom-axisTop) }
	var b strings.Builder
	openChart(&b)
	scale(&b, top, "", y)
	step := (chartWidth - axisLeft - axisRight) / float64(len(bars))
	every := (len(bars) + 7) / 8
	for i, bar := range bars {
		left, height := axisLeft+step*float64(i), y(0)-y(float64(bar.Count))
		if bar.Count > 0 {
			height = max(height, 1)
		}
		fmt.Fprintf(&b, `<rect class="bar" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s: %d</title></rect>`,
			left+step*0.1, y(0)-height, step*0.8, height, html.EscapeString(label(i)), bar.Count)
		if i%every == 0 {
			text(&b, left+step/2, chartHeight-8, "middle", label(i))
		}
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

func openChart(b *strings.Builder) {
	fmt.Fprintf(b, `<svg viewBox="0 0 %.0f %.0f" role="img">`, chartWidth, chartHeight)
}

// scale draws the lines and numbers of the vertical axis.
func scale(b *strings.Builder, top float64, unit string, y func(float64) float64) {
	for k := 0; k <= 4; k++ {
		v := top * float64(k) / 4
		fmt.Fprintf(b, `<line class="axis" x1="%.0f" x2="%.0f" y1="%.1f" y2="%.1f"/>`, axisLeft, chartWidth-axisRight, y(v), y(v))
		text(b, axisLeft-6, y(v)+4, "end", short(v)+unit)
	}
}

func text(b *strings.Builder, x, y float64, anchor, s string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, x, y, anchor, html.EscapeString(s))
}

// niceTop is the end of an axis that shows v: 1, 2, 4, 5 or 8 times a power of ten.
func niceTop(v float64) float64 {
	if v <= 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range []float64{1, 2, 4, 5, 8} {
		if v <= f*power {
			return f * power
		}
	}
	return 10 * power
}

// short is a number in few characters.
func short(v float64) string {
	switch {
	case v >= 10_000_000:
		return strconv.FormatFloat(v/1e6, 'f', 0, 64) + "M"
	case v >= 10_000:
		return strconv.FormatFloat(v/1e3, 'f', 0, 64) + "k"
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(math.Round(v*100)/100, 'g', 4, 64)
}
