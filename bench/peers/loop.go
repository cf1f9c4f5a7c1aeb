//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// loop is an event loop with its viewers. It does not wait in epoll but looks every few
// milliseconds, so that no server has to wake it; sockets are edge-triggered.
type loop struct {
	a        *audience
	epoll    int
	to       []*unix.SockaddrInet4 // viewers take turns; a call writes to one, so each loop has its own
	opening  func() opening
	ramp     float64 // viewers a second
	every    time.Duration
	ackEvery int64

	viewers  []viewer
	started  int
	begun    int64
	open     bool // the window
	buf      []byte
	events   []unix.EpollEvent
	asleep   int64 // ns, in the window
	windowed int64 // ns of the window that the loop has seen

	quit, done chan struct{}
	once       sync.Once
}

const (
	eventsATime    = 512
	roundsATick    = 64
	connectsATick  = 64
	discardATime   = 16 << 20 // bytes; nothing is copied
	discardsATime  = 4
	openingReadMax = 64 << 10
	tracked        = 50 // viewers of a loop whose segments are counted
)

func newLoop(a *audience, n int, ramp float64, every time.Duration, ports []int, ackEvery int64, opening func() opening) (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making an event loop: %w", err)
	}
	var to []*unix.SockaddrInet4
	for _, port := range ports {
		to = append(to, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
	}
	return &loop{a: a, epoll: epoll, to: to, opening: opening, ramp: ramp, every: every, ackEvery: ackEvery,
		viewers: make([]viewer, n), buf: make([]byte, openingReadMax), events: make([]unix.EpollEvent, eventsATime),
		quit: make(chan struct{}), done: make(chan struct{})}, nil
}

func (l *loop) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(l.done)
	l.begun = now()
	for planned := l.begun; ; {
		select {
		case <-l.quit:
			return
		default:
		}
		at := now()
		l.connects(at)
		l.mark(at)
		l.poll()
		planned = l.sleep(planned)
	}
}

// end stops the loop and closes its connections, without keeping their ports.
func (l *loop) end() {
	l.once.Do(func() { close(l.quit) })
	<-l.done
	for i := range l.viewers {
		if v := &l.viewers[i]; v.fd > 0 {
			l.close(v)
		}
	}
	unix.Close(l.epoll)
}

func (l *loop) close(v *viewer) {
	_ = unix.SetsockoptLinger(v.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	unix.Close(v.fd)
	v.fd = 0
}

func (l *loop) sleep(planned int64) int64 {
	planned += int64(l.every)
	at := now()
	if at >= planned {
		return at
	}
	ts := unix.NsecToTimespec(planned - at)
	_ = unix.Nanosleep(&ts, nil) // a signal may end it early, which only makes a look more
	if l.open {
		l.asleep += now() - at
	}
	return planned
}

// connects begins the connections that are due.
func (l *loop) connects(at int64) {
	due := int(float64(at-l.begun) / 1e9 * l.ramp)
	for range connectsATick {
		if l.started >= min(due, len(l.viewers)) {
			return
		}
		v := &l.viewers[l.started]
		l.started++
		v.opening, v.began = l.opening(), now()
		if err := l.connect(v, int32(l.started-1)); err != nil {
			l.lose(v, err)
		}
	}
}

func (l *loop) connect(v *viewer, index int32) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return fmt.Errorf("making a socket: %w", err)
	}
	v.fd = fd
	if err := unix.Connect(fd, l.to[int(index)%len(l.to)]); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return fmt.Errorf("connecting: %w", err)
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: index}
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &ev)
}

// mark notices that the window has begun or ended.
func (l *loop) mark(at int64) {
	from, to := l.a.window.from.Load(), l.a.window.to.Load()
	open := from > 0 && at < to
	switch {
	case open && !l.open:
		for i := range l.viewers {
			l.viewers[i].before = from
		}
		l.count(0)
		l.windowed = -at
	case l.open && !open:
		l.count(1)
		l.windowed += at
	}
	l.open = open
}

func (l *loop) count(which int) {
	for i := range min(tracked, len(l.viewers)) {
		if v := &l.viewers[i]; v.fd > 0 {
			v.segments[which] = segmentsIn(v.fd)
		}
	}
}

func (l *loop) poll() {
	for range roundsATick {
		n, err := unix.EpollWait(l.epoll, l.events, 0)
		if err != nil {
			return
		}
		at := now()
		for i := range l.events[:n] {
			if v := &l.viewers[l.events[i].Fd]; v.fd > 0 {
				l.turn(v, l.events[i].Events, at)
			}
		}
		if n < len(l.events) {
			return
		}
	}
}

func (l *loop) turn(v *viewer, events uint32, at int64) {
	if !v.said && events&unix.EPOLLOUT != 0 {
		v.said = true
		if err := say(v.fd, v.opening.hello()); err != nil {
			l.lose(v, err)
			return
		}
	}
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) == 0 {
		return
	}
	hangup := events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
	for range discardsATime {
		n, err := l.read(v, at)
		if errors.Is(err, unix.EAGAIN) {
			return
		}
		if err != nil {
			l.lose(v, err)
			return
		}
		if v.opening == nil && n < discardATime && !hangup {
			return // that was all; what comes later makes another edge
		}
	}
}

// read takes what there is: it listens to the opening and discards the media.
func (l *loop) read(v *viewer, at int64) (int, error) {
	buf, size, flags := unsafe.Pointer(&l.buf[0]), len(l.buf), 0
	if v.opening == nil {
		size, flags = discardATime, unix.MSG_TRUNC // TCP then drops the bytes without touching the buffer
	}
	r, _, code := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(v.fd), uintptr(buf), uintptr(size), uintptr(flags|unix.MSG_DONTWAIT), 0, 0)
	if code != 0 {
		return 0, code
	}
	n := int(r)
	if n == 0 {
		return 0, io.EOF
	}
	v.total += int64(n)
	if v.opening != nil {
		return n, l.listen(v, l.buf[:n])
	}
	if l.open {
		v.note(n, at)
	}
	if l.ackEvery > 0 && v.total-v.acked >= l.ackEvery {
		v.acked = v.total
		return n, say(v.fd, rtmpAcknowledge(v.total))
	}
	return n, nil
}

func (l *loop) listen(v *viewer, b []byte) error {
	answer, joined, err := v.opening.hear(b)
	if err == nil && len(answer) > 0 {
		err = say(v.fd, answer)
	}
	if err == nil && joined {
		v.join, v.opening = now()-v.began, nil
		l.a.settled.Add(1)
	}
	return err
}

// note counts n bytes in the window.
func (v *viewer) note(n int, at int64) {
	v.gap = max(v.gap, at-v.before)
	v.before = at
	if v.first == 0 {
		v.first = at
	} else {
		v.bytes += int64(n)
	}
	v.last = at
}

// lose gives a viewer up. Nobody comes back: who is cut off stays so.
func (l *loop) lose(v *viewer, err error) {
	v.gone = err
	if v.join == 0 {
		l.a.settled.Add(1)
		l.a.failed.Add(1)
	}
	if v.fd > 0 {
		l.close(v)
	}
}

// say writes what fits into any send buffer.
func say(fd int, b []byte) error {
	n, err := unix.SendmsgN(fd, b, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}
