// Package e2e has only tests: Stream Pump with the programs people use, FFmpeg and VLC, as viewers,
// encoders and sources.
//
// The helpers start real processes on free loopback ports, each in a process group of its own, watch what
// they decode while they do it, and leave nothing running. VLC refuses to run as root; a root test run
// plays it as the ordinary user that scripts/install-test-deps makes.
//
// Where FFmpeg or VLC is missing the tests are skipped and say so; with CI=true in the environment they
// fail instead. `go test -short` skips them all.
package e2e
