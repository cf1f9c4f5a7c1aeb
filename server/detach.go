package server

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/panjf2000/gnet/v2"
)

// dupConn returns a net.Conn on a duplicate of the connection's descriptor.
func dupConn(gc gnet.Conn) (net.Conn, error) {
	fd, err := gc.Dup()
	if err != nil {
		return nil, fmt.Errorf("duplicating a connection: %w", err)
	}
	f := os.NewFile(uintptr(fd), "connection")
	defer f.Close() // FileConn has a duplicate of its own
	nc, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("taking a connection off its event loop: %w", err)
	}
	return nc, nil
}

// prefixConn is a connection whose first bytes have been read already.
type prefixConn struct {
	net.Conn
	prefix []byte
	remote net.Addr                  // who is at its other end by a PROXY header, nil when there was none
	read   func([]byte) (int, error) // in place of Conn's; nil for that
}

// OnRead has the connection read by a function in place of its own, also for those who
// read through buffers that lie above it. To be called by whoever reads.
func (c *prefixConn) OnRead(read func([]byte) (int, error)) { c.read = read }

// SyscallConn implements syscall.Conn.
func (c *prefixConn) SyscallConn() (syscall.RawConn, error) {
	if s, ok := c.Conn.(syscall.Conn); ok {
		return s.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// RemoteAddr implements net.Conn.
func (c *prefixConn) RemoteAddr() net.Addr {
	if c.remote != nil {
		return c.remote
	}
	return c.Conn.RemoteAddr()
}

// NetConn returns the connection underneath, as that of TLS does.
func (c *prefixConn) NetConn() net.Conn { return c.Conn }

// CloseWrite shuts the sending side.
func (c *prefixConn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return io.ErrClosedPipe
}

// Read implements net.Conn.
func (c *prefixConn) Read(b []byte) (int, error) {
	if len(c.prefix) > 0 {
		n := copy(b, c.prefix)
		if c.prefix = c.prefix[n:]; len(c.prefix) == 0 {
			c.prefix = nil
		}
		return n, nil
	}
	if c.read != nil {
		return c.read(b)
	}
	return c.Conn.Read(b)
}
