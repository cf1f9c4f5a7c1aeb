package telemetry

import (
	"math"
	"runtime"
	"runtime/metrics"
	"runtime/pprof"
	"time"
)

// runtimeSample is one figure of runtime/metrics under the name Prometheus users
// know it by. Reading them does not stop the world, as runtime.ReadMemStats would.
type runtimeSample struct {
	name, help string
	kind       kind
	source     string
}

var runtimeSamples = []runtimeSample{
	{"go_goroutines", "Goroutines that exist now.", kindGauge, "/sched/goroutines:goroutines"},
	{"go_sched_gomaxprocs_threads", "Threads that may run Go code at once.", kindGauge, "/sched/gomaxprocs:threads"},
	{"go_gc_cycles_total", "Garbage collections completed.", kindCounter, "/gc/cycles/total:gc-cycles"},
	{"go_gc_cpu_seconds_total", "Estimated processor time of garbage collection.", kindCounter, "/cpu/classes/gc/total:cpu-seconds"},
	{"go_memstats_alloc_bytes_total", "Bytes allocated on the heap since start.", kindCounter, "/gc/heap/allocs:bytes"},
	{"go_memstats_mallocs_total", "Objects allocated on the heap since start.", kindCounter, "/gc/heap/allocs:objects"},
	{"go_memstats_frees_total", "Objects freed on the heap since start.", kindCounter, "/gc/heap/frees:objects"},
	{"go_memstats_heap_alloc_bytes", "Bytes of heap objects, live and not yet swept.", kindGauge, "/memory/classes/heap/objects:bytes"},
	{"go_memstats_heap_objects", "Heap objects, live and not yet swept.", kindGauge, "/gc/heap/objects:objects"},
	{"go_memstats_heap_idle_bytes", "Heap bytes free and kept.", kindGauge, "/memory/classes/heap/free:bytes"},
	{"go_memstats_heap_released_bytes", "Heap bytes returned to the system.", kindGauge, "/memory/classes/heap/released:bytes"},
	{"go_memstats_next_gc_bytes", "Heap size at which the next garbage collection begins.", kindGauge, "/gc/heap/goal:bytes"},
	{"go_memstats_stack_inuse_bytes", "Bytes of goroutine stacks.", kindGauge, "/memory/classes/heap/stacks:bytes"},
	{"go_memstats_sys_bytes", "Bytes the Go runtime has mapped.", kindGauge, "/memory/classes/total:bytes"},
	{"go_gc_pauses_seconds", "Pauses of the whole program for garbage collection.", kindHistogram, "/sched/pauses/total/gc:seconds"},
	{"go_sched_latencies_seconds", "Time goroutines waited to run once they could.", kindHistogram, "/sched/latencies:seconds"},
}

// latencyBounds replace the runtime's hundreds of buckets, in seconds.
var latencyBounds = []float64{1e-6, 1e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, .01, .025, .1, 1}

// runtimeFamilies reads the figures of the Go runtime as families.
func runtimeFamilies() []*family {
	samples := make([]metrics.Sample, len(runtimeSamples))
	for i, s := range runtimeSamples {
		samples[i].Name = s.source
	}
	metrics.Read(samples)
	list := []*family{
		single("go_info", "The Go version.", kindGauge, `version="`+labelEscaper.Replace(runtime.Version())+`"`, constant(1)),
		single("go_threads", "Threads created.", kindGauge, "", constant(float64(pprof.Lookup("threadcreate").Count()))),
	}
	for i, s := range runtimeSamples {
		if v, ok := runtimeSeries(samples[i].Value); ok {
			list = append(list, single(s.name, s.help, s.kind, "", v))
		}
	}
	return list
}

// runtimeSeries reports false for a figure this Go version does not have.
func runtimeSeries(v metrics.Value) (series, bool) {
	switch v.Kind() {
	case metrics.KindUint64:
		return constant(float64(v.Uint64())), true
	case metrics.KindFloat64:
		return constant(v.Float64()), true
	case metrics.KindFloat64Histogram:
		return series{histogram: condense(v.Float64Histogram())}, true
	}
	return series{}, false
}

// condense counts the runtime's buckets into ours, each at its upper end; so is the
// sum, which is therefore an upper estimate.
func condense(from *metrics.Float64Histogram) *Histogram {
	h := NewHistogram(latencyBounds...)
	sum := 0.0
	for i, n := range from.Counts {
		at := from.Buckets[i+1]
		if math.IsInf(at, 1) {
			at = from.Buckets[i]
		}
		h.buckets[h.bucket(at)].Add(n)
		sum += at * float64(n)
	}
	h.sum.Store(math.Float64bits(sum))
	return h
}

// constant is a series of one value read already.
func constant(v float64) series { return series{gauge: func() float64 { return v }} }

func single(name, help string, k kind, labels string, s series) *family {
	return &family{name: name, help: help, kind: k, series: map[string]series{labels: s}}
}

var started = time.Now()
