package telemetry

import (
	"strconv"
	"sync"
	"sync/atomic"
)

// maxReasons bounds the label values one stream can add to a family; what comes
// beyond is counted as "other".
const maxReasons = 64

// StreamMetrics are the figures of one stream. Fields are written by whoever owns
// the event; all may be read at any time. Get it from [Metrics.Stream].
type StreamMetrics struct {
	Path string

	Viewers          Gauge   // viewers now
	ViewersTotal     Counter // viewers since start
	BytesIn          Counter // bytes, from the source
	BytesOut         Counter // bytes, to viewers; add once per flush, not per viewer
	PacketsIn        Counter // packets, from the source
	SkippedPackets   Counter // packets, jumped over for slow viewers, summed over viewers
	WriteCalls       Counter // system calls that wrote to viewers
	SourceUp         Gauge   // 1 while a source delivers, else 0
	SourceReconnects Counter // times a lost source was asked for again

	Join  *Histogram // seconds, request whole → first key-frame packet written
	Flush *Histogram // seconds, one pass of one event loop over the stream's viewers

	viewersDropped reasons
	viewersRefused reasons
	pushesRefused  reasons
	viewersEnded   reasons
	packetsDropped reasons
}

// ViewersDropped returns the counter of viewers the pump let go for the reason.
// Keep the result: the look-up takes a lock.
func (s *StreamMetrics) ViewersDropped(reason string) *Counter { return s.viewersDropped.get(reason) }

// ViewersRefused returns the counter of viewers that were not let in, for the reason.
// Keep the result: the look-up takes a lock.
func (s *StreamMetrics) ViewersRefused(reason string) *Counter { return s.viewersRefused.get(reason) }

// PushesRefused returns the counter of encoders that were not let in, for the reason.
// Keep the result: the look-up takes a lock.
func (s *StreamMetrics) PushesRefused(reason string) *Counter { return s.pushesRefused.get(reason) }

// ViewersEnded returns the counter of viewers that are gone for the reason, by themselves or
// let go. Keep the result: the look-up takes a lock.
func (s *StreamMetrics) ViewersEnded(reason string) *Counter { return s.viewersEnded.get(reason) }

// ViewersEndedSoFar and PacketsDroppedSoFar return counts without making counters.
func (s *StreamMetrics) ViewersEndedSoFar(reason string) uint64 { return s.viewersEnded.soFar(reason) }

// PacketsDroppedSoFar is said above.
func (s *StreamMetrics) PacketsDroppedSoFar(reason string) uint64 {
	return s.packetsDropped.soFar(reason)
}

// PacketsDropped returns the counter of source packets refused for the reason.
// Keep the result: the look-up takes a lock.
func (s *StreamMetrics) PacketsDropped(reason string) *Counter { return s.packetsDropped.get(reason) }

// reasons makes one counter per label value, at most maxReasons of them.
type reasons struct {
	mu       sync.Mutex
	counters map[string]*Counter
	make     func(reason string) *Counter
}

func (r *reasons) get(reason string) *Counter {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.counters[reason]; c != nil {
		return c
	}
	if len(r.counters) >= maxReasons {
		reason = "other"
		if c := r.counters[reason]; c != nil {
			return c
		}
	}
	c := r.make(reason)
	r.counters[reason] = c
	return c
}

func (r *reasons) soFar(reason string) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.counters[reason]; c != nil {
		return c.Load()
	}
	return 0
}

// Names and help texts of the metrics that belong to a stream.
const (
	nameViewers          = "stream_pump_viewers"
	nameViewersTotal     = "stream_pump_viewers_total"
	nameBytesIn          = "stream_pump_bytes_in_total"
	nameBytesOut         = "stream_pump_bytes_out_total"
	namePacketsIn        = "stream_pump_packets_in_total"
	nameSkipped          = "stream_pump_skipped_packets_total"
	nameViewersDropped   = "stream_pump_viewers_dropped_total"
	nameViewersRefused   = "stream_pump_viewers_refused_total"
	namePushesRefused    = "stream_pump_pushes_refused_total"
	nameViewersEnded     = "stream_pump_viewers_ended_total"
	namePacketsDropped   = "stream_pump_packets_dropped_total"
	nameSourceUp         = "stream_pump_source_up"
	nameSourceReconnects = "stream_pump_source_reconnects_total"
	nameJoin             = "stream_pump_join_seconds"
	nameWriteCalls       = "stream_pump_write_calls_total"
	nameFlush            = "stream_pump_flush_seconds"
	nameRequests         = "stream_pump_requests_total"
)

// joinBounds and flushBounds are bucket bounds in seconds.
var (
	joinBounds  = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2, 5, 10}
	flushBounds = []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1}
)

// Stream returns the figures of the stream, registering them when they are not
// there yet.
func (m *Metrics) Stream(path string) *StreamMetrics {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.streams[path]; s != nil {
		return s
	}
	s := &StreamMetrics{Path: path, Join: NewHistogram(joinBounds...), Flush: NewHistogram(flushBounds...)}
	m.streams[path] = s
	m.registerStreamLocked(s)
	return s
}

func (m *Metrics) registerStreamLocked(s *StreamMetrics) {
	labels := []Label{L("stream", s.Path)}
	counter := func(name, help string, c *Counter) {
		m.registerLocked(name, help, kindCounter, series{counter: c.Load}, labels)
	}
	gauge := func(name, help string, g *Gauge) {
		m.registerLocked(name, help, kindGauge, series{gauge: func() float64 { return float64(g.Load()) }}, labels)
	}
	gauge(nameViewers, "Viewers connected now.", &s.Viewers)
	counter(nameViewersTotal, "Viewers admitted since start.", &s.ViewersTotal)
	counter(nameBytesIn, "Bytes received from the source.", &s.BytesIn)
	counter(nameBytesOut, "Bytes written to viewers.", &s.BytesOut)
	counter(namePacketsIn, "Packets received from the source.", &s.PacketsIn)
	counter(nameSkipped, "Packets slow viewers jumped over, summed over viewers.", &s.SkippedPackets)
	gauge(nameSourceUp, "1 while a source delivers, else 0.", &s.SourceUp)
	counter(nameSourceReconnects, "Times a lost source was asked for again.", &s.SourceReconnects)
	counter(nameWriteCalls, "System calls that wrote to viewers.", &s.WriteCalls)
	m.registerLocked(nameJoin, "Seconds from a viewer's request to its first key-frame packet.", kindHistogram, series{histogram: s.Join}, labels)
	m.registerLocked(nameFlush, "Seconds one event loop takes for one pass over the stream's viewers.", kindHistogram, series{histogram: s.Flush}, labels)
	s.viewersDropped.init(m, s, nameViewersDropped, "Viewers let go by the pump, by reason.")
	s.viewersRefused.init(m, s, nameViewersRefused, "Requests of viewers who were not let in, by reason.")
	s.pushesRefused.init(m, s, namePushesRefused, "Requests of encoders that were not let in, by reason.")
	s.viewersEnded.init(m, s, nameViewersEnded, "Viewers that are gone, by reason: by themselves, or let go by the pump.")
	s.packetsDropped.init(m, s, namePacketsDropped, "Source packets refused, by reason.")
}

// init lets r register its counters as they appear, while s is still exported.
func (r *reasons) init(m *Metrics, s *StreamMetrics, name, help string) {
	r.counters = map[string]*Counter{}
	r.make = func(reason string) *Counter {
		c := new(Counter)
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.streams[s.Path] == s {
			m.registerLocked(name, help, kindCounter, series{counter: c.Load}, []Label{L("stream", s.Path), L("reason", reason)})
		}
		return c
	}
}

// RemoveStream takes everything of the stream off the page. Counting into a
// [StreamMetrics] kept by someone goes on, unseen.
func (m *Metrics) RemoveStream(path string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.streams[path] == nil {
		return
	}
	delete(m.streams, path)
	own := renderLabels([]Label{L("stream", path)})
	for _, f := range m.families {
		for labels := range f.series {
			if labels == own || (len(labels) > len(own) && labels[:len(own)+1] == own+",") {
				m.unregisterLocked(f, labels)
			}
		}
	}
}

// requestCounters holds one counter per HTTP status, 100 to 599.
type requestCounters struct {
	byStatus [500]atomic.Pointer[Counter]
}

// Requests returns the counter of answers with the HTTP status; a status outside
// 100 to 599 is counted as 500. It takes no lock after the first call per status.
func (m *Metrics) Requests(status int) *Counter {
	if status < 100 || status > 599 {
		status = 500
	}
	slot := &m.requests.byStatus[status-100]
	if c := slot.Load(); c != nil {
		return c
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := slot.Load(); c != nil {
		return c
	}
	c := new(Counter)
	m.registerLocked(nameRequests, "Requests answered, by HTTP status.", kindCounter, series{counter: c.Load}, []Label{L("status", strconv.Itoa(status))})
	slot.Store(c)
	return c
}
