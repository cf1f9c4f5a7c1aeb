//go:build ringbufdebug

package ringbuf

// debug turns on the checks that cost too much for every day: misuse of references
// panics, and freed slabs are overwritten.
const debug = true
