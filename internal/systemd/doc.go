// Package systemd is a service's side of its service manager: the listening sockets it is
// given, what it tells about itself, and the watchdog it pats.
//
//	LISTEN_FDS      [TakeSockets]      sockets that the manager has opened, with their names
//	NOTIFY_SOCKET   [Manager.Tell]     READY, RELOADING, STOPPING, STATUS, MAINPID, WATCHDOG
//	WATCHDOG_USEC   [Manager.Watchdog] how long the manager waits for a pat
//
// Without these variables, everything here does nothing. The protocols are those of
// sd_listen_fds(3), sd_notify(3) and sd_watchdog_enabled(3), and other managers than systemd
// speak them too.
package systemd
