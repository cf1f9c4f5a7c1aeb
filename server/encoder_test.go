package server

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/ringbuf"
	"github.com/stream-pump/stream-pump/stream"
)

// Synthetic stream: one video stream, every gop-th packet starts a key frame, every
// packet carries a stamp that tells where it belongs and whether it is whole.
const (
	packetSize = 1400
	gop        = 10
	stampSize  = 16
)

// stamp is what a media packet says of itself.
type stamp struct {
	number uint32 // of the packet in its stream, from 0
	epoch  uint32 // header epoch it was sent under
	key    bool
}

// header is a live header; variant makes it differ from others.
func header(variant int) []byte {
	return asf.BuildHeader(asf.HeaderSpec{
		Flags: asf.FlagBroadcast, Preroll: 3000, PacketSize: packetSize, MaxBitrate: 800_000,
		Title:   "variant " + string(rune('A'+variant%26)),
		Streams: []asf.StreamSpec{{Number: 1, Kind: asf.Video, FourCC: "WMV3", Width: 320, Height: 240 + uint32(variant), BitrateBPS: 800_000}},
	})
}

// encoder publishes stamped packets.
type encoder struct {
	testing.TB
	stream   *stream.Stream
	pub      *stream.Publisher
	raw      []byte
	next     uint32 // number of the next packet
	location uint32 // LocationId of the next packet
	size     int    // bytes of payload, 0 for as much as fits
	noKeys   bool
}

// onAir opens the world's stream and sets a header.
func (w *world) onAir() *encoder { w.Helper(); return w.air(w.stream) }

func (w *world) air(s *stream.Stream) *encoder {
	w.Helper()
	e := w.encoder(s)
	e.open()
	e.setHeader(0)
	return e
}

// encoder returns one that has not opened the stream yet. The world stops it in the end.
func (w *world) encoder(s *stream.Stream) *encoder {
	e := &encoder{TB: w.TB, stream: s}
	w.encoders = append(w.encoders, e)
	return e
}

// lost goes away without a word, if it is there.
func (e *encoder) lost() {
	if e.pub != nil {
		e.pub.Lost()
	}
}

func (e *encoder) open() {
	e.Helper()
	pub, err := e.stream.Open(context.Background(), stream.Claim{Name: "test"})
	if err != nil {
		e.Fatal(err)
	}
	e.pub = pub
}

func (e *encoder) setHeader(variant int) {
	e.Helper()
	e.raw = header(variant)
	change, alt := mmsh.AppendStreamChange(nil, e.raw)
	h := stream.Header{
		Raw: e.raw, Frame: mmsh.AppendHeader(nil, e.raw), Change: change, AltStart: alt,
		PacketSize: packetSize, Bitrate: 800_000, KeyFrames: !e.noKeys,
	}
	if err := e.pub.SetHeader(h); err != nil {
		e.Fatal(err)
	}
}

// send publishes n packets; a key frame starts in every gop-th.
func (e *encoder) send(n int) {
	e.Helper()
	for range n {
		e.packet(!e.noKeys && e.next%gop == 0)
	}
}

// packet publishes one packet.
func (e *encoder) packet(key bool) {
	e.Helper()
	p := stampedPacket(e.TB, e.size, stamp{e.next, e.stream.Header().Epoch, key})
	slab := e.stream.Pool().Get(mmsh.DataHeadSize + len(p))
	if slab == nil {
		e.Fatal("no slab")
	}
	mmsh.PutDataHead(slab.Bytes(), e.location, 0, len(p))
	copy(slab.Bytes()[mmsh.DataHeadSize:], p)
	slab.Kind, slab.Key, slab.Payload, slab.Time = ringbuf.Data, key, mmsh.DataHeadSize, int64(e.next)*10
	if err := e.pub.Publish(slab); err != nil {
		e.Error(err)
	}
	e.next++
	e.location++
}

// flow publishes packets until the returned function is called, one every so often.
func (e *encoder) flow(every time.Duration) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			select {
			case <-quit:
				return
			case <-t.C:
				e.send(1)
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

// stampedPacket is a media packet with a stamp and size bytes of payload, 0 for a full
// packet.
func stampedPacket(t testing.TB, size int, s stamp) []byte {
	t.Helper()
	spec := asf.PacketSpec{SendTime: s.number * 10, LengthWidth: 2, Size: packetSize}
	if size == 0 {
		size = packetSize - 64
	} else {
		spec.Size, spec.Stripped = 0, true
	}
	data := make([]byte, max(size, stampSize))
	binary.LittleEndian.PutUint32(data, s.number)
	binary.LittleEndian.PutUint32(data[4:], s.epoch)
	if s.key {
		data[8] = 1
	}
	for i := stampSize; i < len(data); i++ {
		data[i] = byte(i * int(s.number+1))
	}
	binary.LittleEndian.PutUint32(data[12:], crc32.ChecksumIEEE(data[stampSize:])^s.number)
	spec.Payloads = []asf.PayloadSpec{{Stream: 1, Key: s.key, Object: s.number, ObjectSize: uint32(len(data)), PresTime: s.number * 10, Data: data}}
	p, err := asf.AppendPacket(nil, spec)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// readStamp checks that a media packet is whole and returns its stamp.
func readStamp(p []byte) (s stamp, ok bool) {
	w := asf.Payloads(p, packetSize)
	if !w.Next() || w.Payload.End-w.Payload.Start < stampSize {
		return s, false
	}
	data := p[w.Payload.Start:w.Payload.End]
	number := binary.LittleEndian.Uint32(data)
	if binary.LittleEndian.Uint32(data[12:]) != crc32.ChecksumIEEE(data[stampSize:])^number {
		return s, false
	}
	return stamp{number, binary.LittleEndian.Uint32(data[4:]), data[8] == 1}, true
}
