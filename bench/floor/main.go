// Command floor is what serving a live stream costs at the least: one thread that
// writes the same new bytes to every viewer with one bare writev each, at a fixed
// cadence. It takes the same pushes, of any number of streams, and serves the same viewers
// as stream-pump, and does nothing else: no lag, no stalls, no limits, no state. With -uring the writes go through
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
	"strings"
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
	f := &floor{streams: map[string]*stream{}}
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

// floor is the streams, by their addresses without what says that it is a push.
type floor struct {
	mu      sync.Mutex
	streams map[string]*stream
	list    []*stream
}

type stream struct {
	mu     sync.Mutex
	header []byte   // framed $H
	fresh  []packet // since the last pulse
	joined []int    // descriptors of viewers that wait for a key frame

	watching, waiting []int // of the writer
}

// stream returns the stream at an address, made when there is none.
func (f *floor) stream(path string) *stream {
	path = strings.TrimSuffix(path, "_push")
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.streams[path]
	if s == nil {
		s = &stream{}
		f.streams[path], f.list = s, append(f.list, s)
	}
	return s
}

// all returns the streams there are.
func (f *floor) all() []*stream {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.list
}

func (f *floor) serve(c net.Conn) {
	br := bufio.NewReader(c)
	req, err := http.ReadRequest(br)
	if err != nil {
		_ = c.Close()
		return
	}
	s := f.stream(req.URL.Path)
	if req.Method == http.MethodPost {
		s.push(c, br, req)
		return
	}
	r := mmsh.Classify(req.Method, req.Header)
	s.mu.Lock()
	header := s.header
	s.mu.Unlock()
	switch {
	case header == nil:
		_, _ = c.Write(mmsh.AppendError(nil, mmsh.ErrorParams{Status: http.StatusServiceUnavailable}))
		_ = c.Close()
	case r.Kind == mmsh.Play:
		s.join(c, header)
	default:
		_, _ = c.Write(append(mmsh.AppendDescribeHead(nil, mmsh.ReplyParams{ClientID: 1, ContentLength: len(header)}), header...))
		_ = c.Close()
	}
}

// join answers a Play and leaves the socket to the writer.
func (s *stream) join(c net.Conn, header []byte) {
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
	s.mu.Lock()
	s.joined = append(s.joined, fd)
	s.mu.Unlock()
}

// push takes an MS-WMHTTP push: PushSetup, then PushStart with the stream.
func (s *stream) push(c net.Conn, br *bufio.Reader, req *http.Request) {
	for req.Header.Get("Content-Type") != "application/x-wms-pushstart" {
		_, _ = io.Copy(io.Discard, req.Body)
		_, _ = c.Write(mmsh.AppendPushSetupReply(nil, mmsh.PushReply{PushID: "floor"}))
		var err error
		if req, err = http.ReadRequest(br); err != nil {
			return
		}
	}
	fmt.Fprintln(os.Stderr, "push over:", s.receive(br))
	_ = c.Close()
}

// receive takes the stream in until it ends, and returns how it did.
func (s *stream) receive(br *bufio.Reader) error {
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
			s.mu.Lock()
			s.header = mmsh.AppendHeader(nil, ev.Header)
			s.mu.Unlock()
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
			s.mu.Lock()
			s.fresh = append(s.fresh, packet{b, info.KeyStart})
			s.mu.Unlock()
		default:
			if _, err := br.Discard(ev.Length); err != nil {
				return err
			}
		}
	}
}

// take returns what came since the last pulse, and the viewers who wait to be let in.
func (s *stream) take() (fresh []packet, joined []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh, s.fresh = s.fresh, nil
	joined, s.joined = s.joined, nil
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
	var iov []syscall.Iovec
	for next := time.Now().Add(pulse); ; next = next.Add(pulse) {
		time.Sleep(time.Until(next))
		for _, s := range f.all() {
			iov = s.write(iov[:0], out)
		}
	}
}

// write gives the viewers of a stream what is new, and returns the memory of its vectors.
func (s *stream) write(iov []syscall.Iovec, out writer) []syscall.Iovec {
	fresh, joined := s.take()
	s.waiting = append(s.waiting, joined...)
	if len(fresh) == 0 {
		return iov
	}
	iov = vectors(iov, fresh)
	s.watching = out(s.watching, iov)
	for i, p := range fresh {
		if !p.key || len(s.waiting) == 0 {
			continue
		}
		for _, fd := range s.waiting {
			if writev(fd, iov[i:]) {
				s.watching = append(s.watching, fd)
			}
		}
		s.waiting = s.waiting[:0]
	}
	return iov
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
