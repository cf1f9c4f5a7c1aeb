// Package e2e has only tests: Stream Pump with the programs people use, FFmpeg and VLC, as viewers,
// encoders and sources.
//
// The helpers start real processes on free loopback ports, each in a process group of its own, watch what
// they decode while they do it, and leave nothing running. VLC refuses to run as root; a root test run
// plays it as the ordinary user that scripts/install-test-deps makes.
//
// A fleet is played whole: houses, pumps, real NATS servers (built from the module that the house has them from) and
// loadtest's viewers, each a process of its own that can be killed.
//
// Where FFmpeg or VLC is missing the tests are skipped and say so; with CI=true in the environment they
// fail instead. `go test -short` skips them all. mpv, MPlayer and GStreamer take part where they are installed. The test
// of captured headers wants STREAM_PUMP_FIXTURES to name their folder, because they are not in the repository.
//
// What a player decodes is judged from its first picture on, by media time; the clock only has to agree about. A player
// is watched until it has had what it should have, and the limits have slack, so that a slow machine makes the tests
// longer. What a player says of its own lateness is overlooked, and so is what it says of the pictures in front of its
// first key frame, for packets are reflected as they are, and a packet in which a key frame begins may hold the end of
// what came before. What went over the wire is judged by viewers that take packets apart by themselves.
package e2e
