//go:build !linux

package ingest

import "net"

// hungUp tells whether the other end of a connection has closed it; where the kernel cannot be asked, it may have.
func hungUp(net.Conn) bool { return true }
