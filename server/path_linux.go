package server

import (
	"time"

	"golang.org/x/sys/unix"
)

// path is what the kernel knows of the way to one viewer. All but queued is since the
// connection began.
type path struct {
	at     int64         // ns, when the kernel was asked
	acked  uint64        // bytes that have arrived
	queued int64         // bytes that have not been sent yet
	shut   time.Duration // for which nothing could be sent because the viewer did not read
	moved  int64         // ns, when bytes were last seen to arrive; kept by the sounder
	fine   int           // looks that found nothing wrong; kept by the sounder
}

// pathOf asks the kernel (Linux 4.10 and later) about the way to whoever is at fd.
func pathOf(fd int, now int64) (p path, ok bool) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return path{}, false
	}
	return path{at: now, acked: info.Bytes_acked, queued: int64(info.Notsent_bytes), shut: time.Duration(info.Rwnd_limited) * time.Microsecond}, true
}
