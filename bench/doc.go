// Package bench measures what the project promises. Its benchmarks use the other
// packages as the programs do: real sockets, the real server, no shortcut.
//
// The figures that are exact (allocations, system calls per viewer and flush, copies)
// are tests, and fail. Times are only ever printed, as ratios within one run.
package bench
