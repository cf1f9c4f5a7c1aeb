package telemetry

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// Label is one name and value of a metric; the value is escaped when written.
type Label struct{ Name, Value string }

// L makes a label.
func L(name, value string) Label { return Label{Name: name, Value: value} }

type kind string

const (
	kindCounter   kind = "counter"
	kindGauge     kind = "gauge"
	kindHistogram kind = "histogram"
)

// family is all series of one name.
type family struct {
	name, help string
	kind       kind
	series     map[string]series // by rendered labels, without braces
}

// series is exactly one of its fields.
type series struct {
	counter   func() uint64
	seconds   func() float64 // a counter of time, in place of counter
	gauge     func() float64
	histogram *Histogram
}

// Metrics is a registry. All methods may be called from any goroutine; writing
// the page takes the lock that registering takes, and no lock that counting takes.
type Metrics struct {
	mu sync.Mutex // taken before the set's own

	// set holds the gauges as callbacks. Its counters and histograms cannot read
	// values that live elsewhere, so writeFamilies, one of its metrics writers, adds
	// those.
	set      *metrics.Set
	families map[string]*family
	streams  map[string]*StreamMetrics
	requests requestCounters
}

// NewMetrics returns an empty registry. It turns on HELP and TYPE lines for
// everything the metrics library writes in this process.
func NewMetrics() *Metrics {
	m := &Metrics{set: metrics.NewSet(), families: map[string]*family{}, streams: map[string]*StreamMetrics{}}
	m.set.RegisterMetricsWriter(m.writeFamilies)
	metrics.ExposeMetadata(true)
	return m
}

// Counter registers a new counter, or replaces the series of the same name and
// labels. name must be a Prometheus metric name and end in _total.
func (m *Metrics) Counter(name, help string, labels ...Label) *Counter {
	c := new(Counter)
	m.CounterFunc(name, help, c.Load, labels...)
	return c
}

// CounterFunc exports what f returns as a counter. f is called for every page,
// under the registry's lock, and must not register anything.
func (m *Metrics) CounterFunc(name, help string, f func() uint64, labels ...Label) {
	m.register(name, help, kindCounter, series{counter: f}, labels)
}

// SecondsFunc exports the time that f returns, which only grows, as a counter of seconds; for f see
// [Metrics.CounterFunc]. name ends in _seconds_total.
func (m *Metrics) SecondsFunc(name, help string, f func() time.Duration, labels ...Label) {
	m.register(name, help, kindCounter, series{seconds: func() float64 { return f().Seconds() }}, labels)
}

// Gauge registers a new gauge, or replaces the series of the same name and labels.
func (m *Metrics) Gauge(name, help string, labels ...Label) *Gauge {
	g := new(Gauge)
	m.GaugeFunc(name, help, func() float64 { return float64(g.Load()) }, labels...)
	return g
}

// GaugeFunc exports what f returns as a gauge; for f see [Metrics.CounterFunc].
func (m *Metrics) GaugeFunc(name, help string, f func() float64, labels ...Label) {
	m.register(name, help, kindGauge, series{gauge: f}, labels)
}

// Histogram exports h.
func (m *Metrics) Histogram(name, help string, h *Histogram, labels ...Label) {
	m.register(name, help, kindHistogram, series{histogram: h}, labels)
}

// Unregister removes the series of that name and labels, if it is there.
func (m *Metrics) Unregister(name string, labels ...Label) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f := m.families[name]; f != nil {
		m.unregisterLocked(f, renderLabels(labels))
	}
}

func (m *Metrics) unregisterLocked(f *family, labels string) {
	if f.kind == kindGauge {
		m.set.UnregisterMetric(seriesID(f.name, labels))
	}
	delete(f.series, labels)
}

var metricName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)

func (m *Metrics) register(name, help string, k kind, s series, labels []Label) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.registerLocked(name, help, k, s, labels)
}

// registerLocked panics on names that are not valid and on a name that is already
// there as another kind: that is an error in the program, found by the first test
// that runs it.
func (m *Metrics) registerLocked(name, help string, k kind, s series, labels []Label) {
	if !metricName.MatchString(name) {
		panic(fmt.Sprintf("metric name %q is not valid", name))
	}
	rendered := renderLabels(labels)
	id := seriesID(name, rendered)
	if err := metrics.ValidateMetric(id); err != nil {
		panic(fmt.Sprintf("metric %s: %v", id, err))
	}
	f := m.families[name]
	if f == nil {
		f = &family{name: name, help: help, kind: k, series: map[string]series{}}
		m.families[name] = f
	}
	if f.kind != k {
		panic(fmt.Sprintf("metric %s is a %s, not a %s", name, f.kind, k))
	}
	if k == kindGauge {
		m.set.UnregisterMetric(id)
		m.set.NewGauge(id, s.gauge)
	}
	f.series[rendered] = s
}

// seriesID is the name of a series as the set and the page know it.
func seriesID(name, labels string) string {
	if labels == "" {
		return name
	}
	return name + "{" + labels + "}"
}

var labelEscaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// renderLabels returns labels as they stand between braces. Bytes that are not
// UTF-8 become U+FFFD, since the page has to be UTF-8.
func renderLabels(labels []Label) string {
	var b strings.Builder
	for i, l := range labels {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(l.Name + `="` + labelEscaper.Replace(strings.ToValidUTF8(l.Value, "\uFFFD")) + `"`)
	}
	return b.String()
}
