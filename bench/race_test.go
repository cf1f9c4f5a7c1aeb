//go:build race

package bench

// The race detector drops a part of what is put into a sync.Pool, and crypto/tls has its buffers from one.
const poolsLeak = true
