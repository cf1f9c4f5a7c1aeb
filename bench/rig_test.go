package bench

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/internal/certtest"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/ringbuf"
	"github.com/stream-pump/stream-pump/server"
	"github.com/stream-pump/stream-pump/stream"
)

const packetSize = 1400

// rig is a server with one event loop, one live stream and an audience that discards
// what it gets.
type rig struct {
	pool      *ringbuf.Pool
	stream    *stream.Stream
	publisher *stream.Publisher
	server    *server.Server
	address   string
	audience  *audience
	packet    []byte
	location  uint32
	closed    bool
}

func newRig(tb testing.TB, egress string) *rig { tb.Helper(); return newRigBehind(tb, egress, false) }

// newRigBehind is newRig, whose viewers may all be behind TLS.
func newRigBehind(tb testing.TB, egress string, secure bool) *rig {
	tb.Helper()
	r := &rig{pool: ringbuf.NewPool(0)}
	r.stream = stream.New(stream.Options{Path: "bench", Pool: r.pool, EndFrame: mmsh.AppendEnd(nil, mmsh.ReasonEnd)})
	streams := stream.NewRegistry()
	if err := streams.Add(r.stream); err != nil {
		tb.Fatal(err)
	}
	var err error
	r.server, err = server.New(server.Options{Streams: streams, Loops: 1, Egress: egress,
		Settings: server.Settings{PulseMin: time.Microsecond, PulseMax: time.Microsecond}})
	if err != nil {
		tb.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	r.address = ln.Addr().String()
	r.audience = newAudience(tb)
	if secure {
		cert := certtest.NewAuthority(tb, "bench").Issue(tb, certtest.Spec{})
		r.audience.tls = &tls.Config{InsecureSkipVerify: true}
		go func() { _ = r.server.ServeTLS(ln, &tls.Config{Certificates: []tls.Certificate{cert}}) }()
	} else {
		go func() { _ = r.server.Serve(ln) }()
	}
	r.goLive(tb)
	tb.Cleanup(func() { r.close(tb) })
	return r
}

func (r *rig) goLive(tb testing.TB) {
	tb.Helper()
	header := asf.BuildHeader(asf.HeaderSpec{PacketSize: packetSize, Flags: asf.FlagBroadcast, Preroll: 1000, MaxBitrate: 300_000,
		Streams: []asf.StreamSpec{{Number: 1, Kind: asf.Video, Width: 320, Height: 240, FourCC: "WMV2"}}})
	change, alt := mmsh.AppendStreamChange(nil, header)
	var err error
	if r.publisher, err = r.stream.Open(context.Background(), stream.Claim{Name: "bench"}); err != nil {
		tb.Fatal(err)
	}
	if err := r.publisher.SetHeader(stream.Header{Raw: header, Frame: mmsh.AppendHeader(nil, header), Change: change, AltStart: alt,
		PacketSize: packetSize, Bitrate: 300_000, KeyFrames: true}); err != nil {
		tb.Fatal(err)
	}
	r.packet, err = asf.AppendPacket(nil, asf.PacketSpec{Size: packetSize,
		Payloads: []asf.PayloadSpec{{Stream: 1, Key: true, ObjectSize: 1300, Data: make([]byte, 1300)}}})
	if err != nil {
		tb.Fatal(err)
	}
	r.publish()
}

// publish puts one more packet into the ring, as ingest does.
func (r *rig) publish() {
	s := r.pool.Get(mmsh.DataHeadSize + len(r.packet))
	b := s.Bytes()
	mmsh.PutDataHead(b, r.location, 0, len(r.packet))
	copy(b[mmsh.DataHeadSize:], r.packet)
	s.Key, s.Payload = true, mmsh.DataHeadSize
	r.location++
	_ = r.publisher.Publish(s)
}

// seat lets n more viewers in and waits until all of them have the newest packet.
func (r *rig) seat(tb testing.TB, n int) {
	tb.Helper()
	for range n {
		r.audience.join(tb, r.address)
	}
	n = len(r.audience.conns)
	waitFor(tb, "viewers to join", func() bool { return r.stream.Viewers() == n && r.stream.Metrics().Join.Count() >= uint64(n) })
}

// flush publishes one packet and waits until every viewer was written to.
func (r *rig) flush(tb testing.TB) {
	m := r.stream.Metrics()
	want := m.BytesOut.Load() + uint64(r.stream.Viewers()*(mmsh.DataHeadSize+len(r.packet)))
	r.publish()
	for i := 0; m.BytesOut.Load() < want; i++ {
		if i > 1<<20 {
			tb.Fatalf("%d bytes out, want %d: a viewer was not written to", m.BytesOut.Load(), want)
		}
		time.Sleep(10 * time.Microsecond)
	}
}

// close ends the stream and the server; a second call does nothing.
func (r *rig) close(tb testing.TB) {
	if r.closed {
		return
	}
	r.closed = true
	r.publisher.End()
	r.stream.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r.audience.close()
	if err := r.server.Shutdown(ctx); err != nil {
		tb.Error(err)
	}
}

func waitFor(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(deadline) {
			tb.Fatalf("waited a minute for %s", what)
		}
		time.Sleep(50 * time.Microsecond)
	}
}

// audience reads and discards on many connections with one goroutine and without
// allocating, so that what a benchmark counts is the server's.
type audience struct {
	epoll int
	conns []net.Conn
	stop  atomic.Bool
	done  chan struct{}
	bytes atomic.Uint64
	tls   *tls.Config // nil: the viewers are not behind TLS
}

func newAudience(tb testing.TB) *audience {
	tb.Helper()
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		tb.Fatal(err)
	}
	a := &audience{epoll: fd, done: make(chan struct{})}
	go a.read()
	return a
}

func (a *audience) join(tb testing.TB, address string) {
	tb.Helper()
	a.conns = append(a.conns, a.dial(tb, address))
}

// dial connects a viewer whose bytes are read; the caller closes it.
func (a *audience) dial(tb testing.TB, address string) net.Conn {
	tb.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	request := mmsh.AppendPlayRequest(nil, mmsh.ClientParams{Path: "/streams/bench", Host: address, Streams: []uint8{1}})
	asker := c
	if a.tls != nil { // what comes is discarded as it is, so that only the server has the cost of TLS
		asker = tls.Client(c, a.tls)
	}
	if _, err := asker.Write(request); err != nil {
		tb.Fatal(err)
	}
	rc, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		tb.Fatal(err)
	}
	_ = rc.Control(func(fd uintptr) {
		err = unix.EpollCtl(a.epoll, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func (a *audience) read() {
	defer close(a.done)
	events := make([]unix.EpollEvent, 256)
	buf := make([]byte, 64<<10)
	for !a.stop.Load() {
		n, err := unix.EpollWait(a.epoll, events, 20)
		if err != nil {
			continue
		}
		for _, ev := range events[:n] {
			got, err := unix.Read(int(ev.Fd), buf)
			if err == nil && got == 0 {
				_ = unix.EpollCtl(a.epoll, unix.EPOLL_CTL_DEL, int(ev.Fd), nil)
			}
			a.bytes.Add(uint64(max(got, 0)))
		}
	}
}

func (a *audience) close() {
	a.stop.Store(true)
	<-a.done
	for _, c := range a.conns {
		_ = c.Close()
	}
	_ = unix.Close(a.epoll)
}

// framed is one $D as it stands in a push body.
func framed(n int) []byte {
	b := make([]byte, mmsh.FrameHeadSize+n)
	b[0], b[1] = 0x24, mmsh.TypeData
	binary.LittleEndian.PutUint16(b[2:], uint16(n))
	return b
}
