// Package telemetry is how the programs tell what they do: logs, metrics and
// rates. It imports nothing of this module and starts no goroutine of its own.
//
// # Logs
//
// [NewLogger] writes log/slog records, as text on a terminal and as JSON
// elsewhere. Addresses in messages and attributes lose their user information
// and secret query values on the way ([Redact]), and attributes whose key names
// a secret lose their value. [Repeats] folds an event that happens thousands of
// times into one line a second with its count.
//
// # Metrics
//
// [Metrics] holds families of counters, gauges and histograms and writes them in
// the Prometheus text format with HELP and TYPE. [StreamMetrics] holds the figures
// of one stream; they vanish from the page when the stream is removed.
// Values are plain atomics, written without a lock and without an allocation, a
// cache line apart, so event loops do not disturb each other.
//
// The page is put together by github.com/VictoriaMetrics/metrics: each [Metrics] is
// a set of that library, which reads our values when it is asked for a page. The
// figures of the Go runtime (go_*) and, on Linux and Windows, of the process
// (process_*) are the library's. Reading them stops the program for some tens of
// microseconds a page.
package telemetry
