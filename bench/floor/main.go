// Command floor is what serving a live stream costs at the least: one thread that
// writes the same new bytes to every viewer with one bare writev each, at a fixed
// cadence. It takes the same push and serves the same viewers as stream-pump, and does
// nothing else: no lag, no stalls, no limits, no state. With -uring the writes go through
// an io_uring, a thousand to a system call, and nothing else is different: what the ring
// itself saves on a machine. Only the benchmark uses it.
//
//	floor -listen 127.0.0.1:9000 -pulse 100ms
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/mmsh"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9000", "address for the push and the viewers")
	pulse := flag.Duration("pulse", 100*time.Millisecond, "time between two writes to a viewer")
	ring := flag.Bool("uring", false, "write through an io_uring")
	flag.Parse()
	ln, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	f := &floor{}
	out := each
	if *ring {
		if out, err = throughRing(); err != nil {
			log.Fatal(err)
		}
	}
	go f.beat(*pulse, out)
	for {
		c, err := ln.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go f.serve(c)
	}
}

// packet is one framed $D and whether a viewer may start with it.
type packet struct {
	bytes []byte
	key   bool
}

type floor struct {
	mu     sync.Mutex
	header []byte   // framed $H
	fresh  []packet // since the last pulse
	joined []int    // descriptors of viewers that wait for a key frame
}

func (f *floor) serve(c net.Conn) {
	br := bufio.NewReader(c)
	req, err := http.ReadRequest(br)
	if err != nil {
		_ = c.Close()
		return
	}
	if req.Method == http.MethodPost {
		f.push(c, br, req)
		return
	}
	r := mmsh.Classify(req.Method, req.Header)
	f.mu.Lock()
	header := f.header
	f.mu.Unlock()
	switch {
	case header == nil:
		_, _ = c.Write(mmsh.AppendError(nil, mmsh.ErrorParams{Status: http.StatusServiceUnavailable}))
		_ = c.Close()
	case r.Kind == mmsh.Play:
		f.join(c, header)
	default:
		_, _ = c.Write(append(mmsh.AppendDescribeHead(nil, mmsh.ReplyParams{ClientID: 1, ContentLength: len(header)}), header...))
		_ = c.Close()
	}
}

// join answers a Play and leaves the socket to the writer.
func (f *floor) join(c net.Conn, header []byte) {
	if _, err := c.Write(append(mmsh.AppendPlayHead(nil, mmsh.ReplyParams{ClientID: 1}), header...)); err != nil {
		_ = c.Close()
		return
	}
	file, err := c.(*net.TCPConn).File()
	_ = c.Close()
	if err != nil {
		log.Print(err)
		return
	}
	fd, err := syscall.Dup(int(file.Fd()))
	_ = file.Close()
	if err != nil || syscall.SetNonblock(fd, true) != nil {
		log.Print(err)
		return
	}
	f.mu.Lock()
	f.joined = append(f.joined, fd)
	f.mu.Unlock()
}

// push takes an MS-WMHTTP push: PushSetup, then PushStart with the stream.
func (f *floor) push(c net.Conn, br *bufio.Reader, req *http.Request) {
	for req.Header.Get("Content-Type") != "application/x-wms-pushstart" {
		_, _ = io.Copy(io.Discard, req.Body)
		_, _ = c.Write(mmsh.AppendPushSetupReply(nil, mmsh.PushReply{PushID: "floor"}))
		var err error
		if req, err = http.ReadRequest(br); err != nil {
			return
		}
	}
	fmt.Fprintln(os.Stderr, "push over:", f.receive(br))
	_ = c.Close()
}

// receive takes the stream in until it ends, and returns how it did.
func (f *floor) receive(br *bufio.Reader) error {
	d := mmsh.NewDecoder(mmsh.PushFraming, mmsh.Push)
	var h *asf.Header
	for location := uint32(0); ; {
		if _, err := io.ReadFull(br, d.Buffer()); err != nil {
			return err
		}
		ev, err := d.Next()
		if err != nil {
			return err
		}
		switch ev.Kind {
		case mmsh.Header:
			if h, err = asf.ParseHeader(ev.Header); err != nil {
				return err
			}
			f.mu.Lock()
			f.header = mmsh.AppendHeader(nil, ev.Header)
			f.mu.Unlock()
		case mmsh.Packet:
			b := make([]byte, mmsh.DataHeadSize+ev.Length)
			mmsh.PutDataHead(b, location, 0, ev.Length)
			if _, err := io.ReadFull(br, b[mmsh.DataHeadSize:]); err != nil {
				return err
			}
			location++
			info, err := asf.ParsePacket(b[mmsh.DataHeadSize:], h.PacketSize, h.KeyStreams())
			if err != nil {
				return err
			}
			f.mu.Lock()
			f.fresh = append(f.fresh, packet{b, info.KeyStart})
			f.mu.Unlock()
		default:
			if _, err := br.Discard(ev.Length); err != nil {
				return err
			}
		}
	}
}

// take returns what came since the last pulse, and the viewers who wait to be let in.
func (f *floor) take() (fresh []packet, joined []int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fresh, f.fresh = f.fresh, nil
	joined, f.joined = f.joined, nil
	return fresh, joined
}

// writer writes the vectors to all of the descriptors and returns those that took them
// whole, in the same memory.
type writer func(fds []int, iov []syscall.Iovec) []int

// each writes with one writev a viewer.
func each(fds []int, iov []syscall.Iovec) []int {
	alive := fds[:0]
	for _, fd := range fds {
		if writev(fd, iov) {
			alive = append(alive, fd)
		}
	}
	return alive
}

// beat is the floor itself: one thread, one loop, and for each viewer one write.
func (f *floor) beat(pulse time.Duration, out writer) {
	runtime.LockOSThread()
	var watching, waiting []int
	var iov []syscall.Iovec
	for next := time.Now().Add(pulse); ; next = next.Add(pulse) {
		time.Sleep(time.Until(next))
		fresh, joined := f.take()
		waiting = append(waiting, joined...)
		if len(fresh) == 0 {
			continue
		}
		iov = vectors(iov[:0], fresh)
		watching = out(watching, iov)
		for i, p := range fresh {
			if !p.key || len(waiting) == 0 {
				continue
			}
			for _, fd := range waiting {
				if writev(fd, iov[i:]) {
					watching = append(watching, fd)
				}
			}
			waiting = waiting[:0]
		}
	}
}

func vectors(iov []syscall.Iovec, packets []packet) []syscall.Iovec {
	for _, p := range packets {
		iov = append(iov, syscall.Iovec{Base: &p.bytes[0], Len: uint64(len(p.bytes))})
	}
	return iov
}

// writev writes everything or gives the viewer up.
func writev(fd int, iov []syscall.Iovec) bool {
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&iov[0])), uintptr(len(iov)))
	if errno == 0 && int(n) == size(iov) {
		return true
	}
	_ = syscall.Close(fd)
	return false
}

func size(iov []syscall.Iovec) (n int) {
	for _, v := range iov {
		n += int(v.Len)
	}
	return n
}
