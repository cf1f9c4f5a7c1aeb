// Package ringbuf holds the live packets of a stream: immutable, reference-counted
// slabs in a lock-free broadcast ring.
//
// # Purpose, and what it is not
//
// One producer publishes, any number of readers follow. It is a broadcast, not a
// queue: publishing never waits for a reader, a reader that is too slow is lapped,
// and being lapped is a normal event that the reader learns from [Ring.Take] and
// counts. Nothing here does I/O, reads a clock or writes a log.
//
// # Layout
//
//	Pool                       size classes 2^k and 1.5·2^k, plus room for framing
//	  class 4096+64 ─ free ──► Slab ─► Slab ─► nil         (tagged lock-free stack)
//	                            │ bytes: pointer-free chunk, never walked by the collector
//
//	Ring, S slots (a power of two)
//
//	  plain     |. . h====t . . . .|      h = head, oldest kept; t = tail, next to publish
//	  wrapped   |==t . . . . . . h=|      slot of a packet = sequence & (S-1)
//
// Head and tail each have a span of [CacheLinePad] bytes to themselves, so that the
// producer's store to one never slows a reader of the other.
//
// # Writers and readers
//
// Exactly one goroutine at a time calls [Ring.Publish] and [Ring.Clear]; whoever
// hands the producer's role on must order the two by other means (package stream
// does). Any goroutine may call every other method. The position in the ring, a plain
// sequence number, belongs to the reader.
//
// # Publication order
//
// All of it rests on sync/atomic, which is sequentially consistent in Go. The store
// that publishes is the slot's; the tail's store, after it, makes the packet visible.
// To evict, the producer first stores head+1 (its intent), then empties the slot, then
// drops the ring's reference. A reader loads the slot, retains the slab if its count is
// not zero, then loads the slot again and compares the sequence: equal means the ring
// still held its reference when ours was added, so the bytes are those published.
//
// # Ownership and references
//
// [Pool.Get] gives a slab with one reference, which Publish hands to the ring.
// [Ring.Take] adds one for the caller. Each is dropped with [Slab.Release], after which
// that holder never touches the slab again; at zero it goes back to its pool. writev
// copies into the kernel, so an event loop holds a span only for the length of one
// flush, and a blocked viewer holds only the slab it stopped inside of.
//
// # Full, and lapped
//
// The ring is bounded in slots, bytes and time ([Limits]). Publishing evicts the
// oldest packets until the new one fits; the bound in time never evicts the newest key
// frame, for that is where the next viewer starts. A pool at its bound returns nil from
// Get: the producer drops that packet and counts it.
//
// # Degenerate states
//
// Releasing more often than retaining, publishing a slab twice and writing to a
// published slab are bugs. Built with the tag ringbufdebug, the first two panic and
// freed slabs are overwritten, so that the third is found by the stress test.
//
// # Bounds
//
// Memory of a ring = 8·S bytes of slots + at most Limits.Bytes of slabs (rounded up to
// their class, ≤ 1.5 ×). A slab holds at most [MaxSlab] bytes.
//
// # Checks
//
// TestRingModel (random operations against a plain slice), TestRingStress (stamped
// payloads, many readers, finds a torn or recycled slab), TestPool*, BenchmarkPublish,
// BenchmarkTake; `make stress` runs the stress tests longer and with ringbufdebug.
package ringbuf
