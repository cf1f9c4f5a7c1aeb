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
// the Prometheus text format with HELP and TYPE, along with the figures of the
// process and the Go runtime. [StreamMetrics] holds the figures of one stream; they
// vanish from the page when the stream is removed.
// Values are plain atomics, written without a lock and without an allocation, a
// cache line apart, so event loops do not disturb each other.
package telemetry
