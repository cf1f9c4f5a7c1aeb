package telemetry

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"sync"
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
	gauge     func() float64
	histogram *Histogram
}

// Metrics is a registry. All methods may be called from any goroutine; writing
// the page takes the lock that registering takes, and no lock that counting takes.
type Metrics struct {
	mu       sync.Mutex
	families map[string]*family
	streams  map[string]*StreamMetrics
	requests requestCounters
}

// NewMetrics returns an empty registry.
func NewMetrics() *Metrics {
	return &Metrics{families: map[string]*family{}, streams: map[string]*StreamMetrics{}}
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
		delete(f.series, renderLabels(labels))
	}
}

var metricName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)

func (m *Metrics) register(name, help string, k kind, s series, labels []Label) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.registerLocked(name, help, k, s, labels)
}

// registerLocked panics on a name that is already there as another kind: that is
// an error in the program, found by the first test that runs it.
func (m *Metrics) registerLocked(name, help string, k kind, s series, labels []Label) {
	if !metricName.MatchString(name) {
		panic(fmt.Sprintf("metric name %q is not valid", name))
	}
	f := m.families[name]
	if f == nil {
		f = &family{name: name, help: help, kind: k, series: map[string]series{}}
		m.families[name] = f
	}
	if f.kind != k {
		panic(fmt.Sprintf("metric %s is a %s, not a %s", name, f.kind, k))
	}
	f.series[renderLabels(labels)] = s
}

// WritePrometheus writes every family, and the figures of the process and the Go
// runtime, in the Prometheus text format. The figures of one page are read one
// after the other: they need not add up.
func (m *Metrics) WritePrometheus(w io.Writer) error {
	var b bytes.Buffer
	m.writeFamilies(&b)
	for _, f := range append(processFamilies(), runtimeFamilies()...) {
		f.write(&b)
	}
	_, err := w.Write(b.Bytes())
	if err != nil {
		return fmt.Errorf("writing metrics: %w", err)
	}
	return nil
}

func (m *Metrics) writeFamilies(b *bytes.Buffer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range sortedKeys(m.families) {
		m.families[name].write(b)
	}
}

func (f *family) write(b *bytes.Buffer) {
	if len(f.series) == 0 {
		return
	}
	fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", f.name, helpEscaper.Replace(f.help), f.name, f.kind)
	for _, labels := range sortedKeys(f.series) {
		s := f.series[labels]
		switch {
		case s.counter != nil:
			writeSample(b, f.name, labels, strconv.FormatUint(s.counter(), 10))
		case s.gauge != nil:
			writeSample(b, f.name, labels, formatFloat(s.gauge()))
		default:
			s.histogram.write(b, f.name, labels)
		}
	}
}

func (h *Histogram) write(b *bytes.Buffer, name, labels string) {
	var n uint64
	for i := range h.buckets {
		le := "+Inf"
		if i < len(h.bounds) {
			le = formatFloat(h.bounds[i])
		}
		n += h.buckets[i].Load()
		with := `le="` + le + `"`
		if labels != "" {
			with = labels + "," + with
		}
		writeSample(b, name+"_bucket", with, strconv.FormatUint(n, 10))
	}
	writeSample(b, name+"_sum", labels, formatFloat(h.Sum()))
	writeSample(b, name+"_count", labels, strconv.FormatUint(n, 10))
}

func writeSample(b *bytes.Buffer, name, labels, value string) {
	b.WriteString(name)
	if labels != "" {
		b.WriteString("{" + labels + "}")
	}
	b.WriteString(" " + value + "\n")
}

var (
	labelEscaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	helpEscaper  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
)

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

func formatFloat(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
