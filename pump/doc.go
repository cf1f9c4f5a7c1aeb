// Package pump puts one Stream Pump together and runs it: the streams of a configuration
// with their sources, the doors for viewers and encoders, the operator's port, reloading
// and the way down.
//
// # Life
//
//	Start   listeners, streams, sources        every error names what would be right
//	Reload  a new configuration                what changed is applied, nobody is dropped whose stream stays
//	Drain   no new viewers                     /readyz says 503
//	Stop    every stream ends towards viewers  $E, then the connections close; bounded by drain.timeout
//
// [Run] does that by signal: SIGHUP reloads, SIGTERM and SIGINT stop (a second one at
// once), SIGUSR2 starts the program anew, hands it the listening sockets, keeps serving
// those who are there until drain.timeout and then stops. No PID file is needed: the new
// program says by a pipe that it serves, and as long as it has not, the old one does.
//
// # Who it runs as
//
// A pump that root starts with run_as opens its ports, reads its keys, and becomes that
// user for good before it reads anything from outside; see package runas.
//
// # Under systemd
//
// [Run] takes the sockets of socket units by their names (public, tls, admin), tells when it
// serves, reloads and stops, and pats the watchdog as long as every event loop turns. After
// SIGUSR2 systemd is told the new process. Units are in packaging/systemd.
//
// # Locks
//
// Pump.reloading keeps two reloads apart, Pump.mu orders reloads and the end. They are
// the outermost locks of the program, in this order, and never taken on the way of a packet or a request of a viewer.
package pump
