// Package ingest is every way a stream gets into the pump: an encoder that pushes ([Push]), a server that is
// pulled from ([Pull]), a file or the test card that is played in a loop ([File]).
//
// # One way in
//
// Whatever the source, its headers and packets pass through a [Feed]. It refuses what would harm viewers, frames
// each packet once, in the slab it was read into, and keeps what viewers must be able to rely on: LocationIds that
// count on, send times that never go back, a stream change before every new header, a key frame behind every break.
// A packet is passed on as its source made it, byte for byte, unless times have to be moved so that they go on.
//
// # Sources come and go
//
// What has to survive a source (the header in force, the newest time and number) is the stream's [Timeline]. It is
// handed from one holder of the publisher's role to the next, so that a source that comes back, or another that takes
// its place, continues where the last one stopped.
//
// A [Supervisor] keeps a list of sources going: the first that delivers is taken, a lost one is asked again with
// growing pauses, and while a backup plays the better ones are tried, until one of them takes over between two
// pictures.
//
// # What an operator sees
//
// Sources are logged when they connect, are lost and end, with stream, address and reason. Packets that are not
// passed on are counted by reason in stream_pump_packets_dropped_total: malformed, oversized, undeclared, no_memory,
// before_key_frame, duplicate.
package ingest
