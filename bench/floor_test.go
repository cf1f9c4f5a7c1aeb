package bench

import (
	"net"
	"os"
	"syscall"
	"testing"
	"unsafe"
)

// BenchmarkFloor is the kernel's own price of a flush: a bare loop that writes the same
// bytes to 1,000 sockets with one writev each, and nothing else.
func BenchmarkFloor(b *testing.B) {
	fds := floorSockets(b)
	packet := make([]byte, packetSize+12)
	iov := []syscall.Iovec{{Base: &packet[0], Len: uint64(len(packet))}}
	b.ReportAllocs()
	for b.Loop() {
		for _, fd := range fds {
			n, _, errno := syscall.RawSyscall(syscall.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&iov[0])), 1)
			if errno != 0 || int(n) != len(packet) {
				b.Fatalf("writev: %d bytes, %v", n, errno)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/viewers, "ns/viewer")
}

// floorSockets returns the server's ends of connections whose other ends are read.
func floorSockets(b *testing.B) []int {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ln.Close() })
	a := newAudience(b)
	b.Cleanup(a.close)
	var fds []int
	for range viewers {
		a.join(b, ln.Addr().String())
		c, err := ln.Accept()
		if err != nil {
			b.Fatal(err)
		}
		f, err := c.(*net.TCPConn).File()
		if err != nil {
			b.Fatal(err)
		}
		c.Close()
		b.Cleanup(func() { f.Close() })
		fds = append(fds, int(fdOf(f)))
	}
	return fds
}

// fdOf returns a file's descriptor, non-blocking as the server's are.
func fdOf(f *os.File) uintptr {
	fd := f.Fd()
	_ = syscall.SetNonblock(int(fd), true)
	return fd
}
