// Package server serves viewers. It is the only package that knows gnet.
//
// # Two doors
//
// A plain connection is accepted by an ordinary listener and enrolled on a gnet event
// loop, which reads, parses requests and notices the end. A viewer on a loop is written
// to with one raw writev a flush, straight from the ring's slabs, never through gnet's
// buffers. Pushes and viewers of plain ASF live on a goroutine each, handed over by the loop
// with the bytes read so far. A connection behind TLS begins on a goroutine, and goes to an
// event loop when it turns out to be an MMSH viewer. Both doors route requests with the same code.
//
// # Who owns what
//
//	loop goroutine     conn, viewer, cursor, group, loop.owing/conns/leaving
//	guest goroutine    guest's cursor; its counters are atomics for others to read
//	publisher          group.dirty and group.next, through Wake; crowd.dirty
//	any goroutine      Server's methods, sessions, closedLog, crowds (a mutex each)
//
// Other goroutines reach a loop's things only by running a function on it (loop.call).
//
// # The flush
//
// group.flush is the hot path; its stages are described there. When it runs is decided
// by pulse: as often as the pulse allows while there is something to send, and the pulse
// stretches with the length of the passes.
package server
