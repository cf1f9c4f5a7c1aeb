//go:build linux

// Command peers compares the pump with the servers people use for the same job: VLC's
// MMSH output, Icecast and nginx with its RTMP module, as Debian ships them. Each gets
// a stream of the same bit rate and the same number of viewers on this machine, one
// server after the other, and one table says what a viewer costs.
//
//	make bench-peers                                  installs the peers, then the whole table, about ten minutes
//	go run ./bench/peers -viewers 100 -duration 5s    a look
//
// The viewers are the same for all: raw sockets on two event loops that look every few
// milliseconds, so that no server pays for waking them, and discard what came without
// copying it. Only the opening of a connection knows the protocol.
//
// Everything stays on 127.0.0.1. Servers and encoders are ended with the program, even
// when it is killed; their files are in a temporary folder that is removed.
package main
