// Package simulate runs a whole house against a fleet that is not there, and measures it: pumps that only say what they
// do, and viewers who only ask where to go.
//
// The house is a real one, in this process, with its store on disk, its doors and its telemetry. Some of the pumps speak to it
// over HTTP as real ones do, with sessions, event streams and a batch each second; the others hand their batches over within the
// process. Some of the viewers ask over HTTP, the others call the handler.
//
// The pumps stand in regions of five equals, which serve the same networks; what does not fit in a region overflows to the next
// one, by a lower priority. A viewer who was sent to a pump arrives there after 20 ms to 1.5 s, and one in fifty never does. A
// pump that has no room turns him away, as real ones do: that is an over-assignment.
package simulate
