// Package loadtest is thousands of synthetic viewers of MMSH streams, with a verdict.
//
// It is a black box: it knows the wire format, and nothing of the server it measures. [Run] brings up the viewers,
// holds them, and returns a [Report] of joins, delivery, gaps, latency and cost; without an address it starts a pump
// of its own and a synthetic source first. [Push] is that source: an encoder that sends stamped packets on a schedule.
// [Main] is the command.
//
// How it measures, in short (docs/loadtest.md has the whole of it):
//
//   - Every synthetic packet carries a stamp: number, time it was due, checksum. Latency counts from the time it was
//     due, so a source or a server that falls behind shows up as late packets and not as fewer samples.
//   - A viewer is a small state machine fed in place from one buffer that its event loop shares among all of them.
//     There is no goroutine and no buffer for each, and nothing is allocated once it has joined. Viewers over TLS are
//     the exception: a goroutine each.
//   - The loops poll every few milliseconds instead of being woken for each packet, so that the server does not pay
//     for waking them.
//   - It watches itself: when a loop had no time left or the source missed its schedule, the verdict is "inconclusive".
//
// The event loops need Linux (epoll).
package loadtest
