// Package hook asks the operator's own program, by HTTP, who may push and who may watch,
// and tells it when that is over.
//
// There are four actions. on_publish and on_play are questions: the pump waits for the
// answer, at most for the action's time-out, and then does what is set for that case
// (fail: open lets in, fail: closed does not). on_unpublish and on_stop are told: they
// are sent from a bounded queue, tried again for a minute, and then dropped and counted.
//
// A question is a POST of an [Event] as JSON. 2xx lets in, 4xx does not; anything else,
// or nothing in time, is a failure. After a few failures in a row the program is not asked
// for some seconds, and nobody waits for it.
//
// Players ask for a stream twice, first for its header and then to play it. The first
// question's answer is kept for the second, so that on_play is asked once for each viewing.
// Refusals are kept for the same time, for who tries again and again.
package hook
