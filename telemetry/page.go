package telemetry

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/VictoriaMetrics/metrics"

	"github.com/stream-pump/stream-pump/telemetry/internal/quiet"
)

// The metrics library is initialised by now, and has said what nobody asked for.
func init() { quiet.Restore() }

// WritePrometheus writes every family, and the figures of the process and the Go
// runtime, in the Prometheus text format. The figures of one page are read one
// after the other: they need not add up.
func (m *Metrics) WritePrometheus(w io.Writer) error {
	var page bytes.Buffer
	m.writeOwn(&page)
	metrics.WriteProcessMetrics(&page)
	metrics.WriteFDMetrics(&page)
	metrics.WriteGaugeUint64(&page, nameMaxProcs, uint64(runtime.GOMAXPROCS(0)))
	if _, err := w.Write(page.Bytes()); err != nil {
		return fmt.Errorf("writing metrics: %w", err)
	}
	return nil
}

// WriteFamilies writes every family that is registered, and nothing of the process.
func (m *Metrics) WriteFamilies(w io.Writer) error {
	var page bytes.Buffer
	m.writeOwn(&page)
	if _, err := w.Write(page.Bytes()); err != nil {
		return fmt.Errorf("writing metrics: %w", err)
	}
	return nil
}

// nameMaxProcs is what most Go programs call the number of threads that run Go
// code at once, and so what dashboards ask for; the library has another name for it.
const nameMaxProcs = "go_sched_gomaxprocs_threads"

// writeOwn writes what is registered. Callbacks run under the lock: one at a time,
// and none any more once its series is unregistered.
func (m *Metrics) writeOwn(page *bytes.Buffer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var bare bytes.Buffer
	m.set.WritePrometheus(&bare)
	m.addHelpLocked(page, bare.Bytes())
}

var helpEscaper = strings.NewReplacer(`\`, `\\`, "\n", `\n`)

// addHelpLocked copies bare to page and completes the HELP lines, which the library
// leaves empty. No other line begins like one, since names have no such bytes and
// line feeds in label values are escaped.
func (m *Metrics) addHelpLocked(page *bytes.Buffer, bare []byte) {
	for line := range bytes.Lines(bare) {
		if name, isHelp := bytes.CutPrefix(line, []byte("# HELP ")); isHelp {
			name = bytes.TrimSpace(name)
			if f := m.families[string(name)]; f != nil && f.help != "" {
				page.WriteString("# HELP " + f.name + " " + helpEscaper.Replace(f.help) + "\n")
				continue
			}
		}
		page.Write(line)
	}
}

// writeFamilies writes the families that are not the set's own, each in one piece.
// It runs within the set's WritePrometheus, that is under the lock.
func (m *Metrics) writeFamilies(w io.Writer) {
	for _, name := range sortedKeys(m.families) {
		if f := m.families[name]; f.kind != kindGauge && len(f.series) > 0 {
			f.write(w)
		}
	}
}

func (f *family) write(w io.Writer) {
	metrics.WriteMetadataIfNeeded(w, f.name, string(f.kind))
	for _, labels := range sortedKeys(f.series) {
		s := f.series[labels]
		if s.histogram != nil {
			s.histogram.write(w, f.name, labels)
			continue
		}
		writeSample(w, f.name, labels, s.count())
	}
}

// count returns the value of a counter.
func (s series) count() string {
	if s.seconds != nil {
		return formatFloat(s.seconds())
	}
	return strconv.FormatUint(s.counter(), 10)
}

// write writes h as cumulative buckets, sum and count.
func (h *Histogram) write(w io.Writer, name, labels string) {
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
		writeSample(w, name+"_bucket", with, strconv.FormatUint(n, 10))
	}
	writeSample(w, name+"_sum", labels, formatFloat(h.Sum()))
	writeSample(w, name+"_count", labels, strconv.FormatUint(n, 10))
}

// writeSample writes to a buffer, hence without an error.
func writeSample(w io.Writer, name, labels, value string) {
	fmt.Fprintf(w, "%s %s\n", seriesID(name, labels), value)
}

func formatFloat(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
