//go:build !ringbufdebug

package ringbuf

const debug = false
