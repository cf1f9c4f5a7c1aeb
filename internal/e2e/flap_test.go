package e2e

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/asf"
)

const (
	flapViewers = 200
	flapPackets = 600                   // in all, 20 seconds
	flapEvery   = 40                    // packets between two losses of the source
	flapTick    = 35 * time.Millisecond // from packet to packet
	flapPacket  = 1400                  // bytes
)

// flapSource is an encoder with a bad connection: again and again it breaks in the middle of a packet. Every packet
// holds its number, and bytes that follow from it.
type flapSource struct {
	header []byte
	whole  atomic.Uint32 // packets sent whole
	losses atomic.Uint32
}

func newFlapSource() *flapSource {
	return &flapSource{header: asf.BuildHeader(asf.HeaderSpec{
		Flags: asf.FlagBroadcast, Preroll: 1000, PacketSize: flapPacket, MaxBitrate: 320_000,
		Streams: []asf.StreamSpec{{Number: 1, Kind: asf.Video, Width: 320, Height: 240, FourCC: "WMV2", BitrateBPS: 320_000}},
	})}
}

// packet is number n: a key frame every tenth.
func (s *flapSource) packet(n uint32) ([]byte, error) {
	data := make([]byte, 1300)
	stamp(data, n)
	ms := 1000 + n*uint32(flapTick.Milliseconds())
	return asf.AppendPacket(nil, asf.PacketSpec{
		SendTime: ms, Duration: uint16(flapTick.Milliseconds()), Size: flapPacket,
		Payloads: []asf.PayloadSpec{{Stream: 1, Key: n%10 == 0, Object: n, ObjectSize: uint32(len(data)), PresTime: ms + 1000, Data: data}},
	})
}

func stamp(data []byte, n uint32) {
	binary.LittleEndian.PutUint32(data, n)
	for i := 4; i < len(data); i++ {
		data[i] = byte(n*31 + uint32(i)*7)
	}
}

// stamped reads the number of a packet, whose times may have been changed on the way; ok is false when anything else
// is not as it was sent.
func (s *flapSource) stamped(packet []byte) (n uint32, ok bool) {
	spec, err := asf.DescribePacket(packet, flapPacket)
	if err != nil || len(packet) != flapPacket || len(spec.Payloads) != 1 || len(spec.Payloads[0].Data) != 1300 {
		return 0, false
	}
	p := spec.Payloads[0]
	n = binary.LittleEndian.Uint32(p.Data)
	want := make([]byte, len(p.Data))
	stamp(want, n)
	return n, string(want) == string(p.Data) && p.Object == n%(1<<8) && p.Key == (n%10 == 0)
}

// run pushes until done: a connection after the other, each cut off in the middle of a packet.
func (s *flapSource) run(t *testing.T, pump *PumpProc, done <-chan struct{}) error {
	clock := time.NewTicker(flapTick)
	defer clock.Stop()
	for n := uint32(0); ; {
		e, err := pushBody(t, pump.Port, "flap")
		if err != nil {
			return err
		}
		if err := e.send(s.header); err != nil {
			return err
		}
		for range flapEvery {
			select {
			case <-clock.C:
			case <-done:
				return e.conn.Close()
			}
			packet, err := s.packet(n)
			if err != nil {
				return err
			}
			if err := e.send(packet); err != nil {
				return fmt.Errorf("packet %d: %w", n, err)
			}
			s.whole.Add(1)
			n++
		}
		packet, err := s.packet(n)
		if err != nil {
			return err
		}
		_ = e.send(packet[:flapPacket/3])
		_ = e.conn.Close()
		s.losses.Add(1)
		n = (n/10 + 1) * 10 // the next connection begins with a key frame
		<-clock.C
	}
}

// flapRecord is what all viewers together know: which packet has which LocationId.
type flapRecord struct {
	sync.Mutex
	numbers map[uint32]uint32 // by LocationId
	frames  atomic.Uint64
	skips   atomic.Uint64 // jumps of slow viewers
	joins   atomic.Uint64
	refused atomic.Uint64
	slowest atomic.Int64 // ns, from before connecting to the head of the reply
}

func (r *flapRecord) joined(took time.Duration) {
	r.joins.Add(1)
	for old := r.slowest.Load(); int64(took) > old && !r.slowest.CompareAndSwap(old, int64(took)); old = r.slowest.Load() {
	}
}

// agree notes the packet and tells whether every viewer so far saw the same one under this LocationId.
func (r *flapRecord) agree(location, n uint32) bool {
	r.Lock()
	defer r.Unlock()
	known, ok := r.numbers[location]
	if !ok {
		r.numbers[location] = n
	}
	return !ok || known == n
}

// flapViewer is one of the audience.
type flapViewer struct {
	source *flapSource
	record *flapRecord
	pump   *PumpProc
	slow   bool // takes a packet in three of the source's ticks
	leave  int  // packets after which it leaves and comes back; 0 never
}

// watch joins, and joins again, until done is closed, and returns what was wrong.
func (v *flapViewer) watch(done <-chan struct{}) error {
	for {
		err := v.once(done)
		select {
		case <-done:
			return err
		default:
		}
		if err != nil {
			return err
		}
	}
}

// once watches until it leaves or done is closed.
func (v *flapViewer) once(done <-chan struct{}) error {
	pace := time.NewTicker(3 * flapTick)
	defer pace.Stop()
	dialer := &net.Dialer{}
	if v.slow {
		dialer = narrow
	}
	raw, err := joinRawBy(dialer, v.pump.Port, "flap", false)
	if errors.Is(err, errBusy) { // the source is away at this moment
		v.record.refused.Add(1)
		<-pace.C
		return nil
	}
	if err != nil {
		return fmt.Errorf("joining: %w", err)
	}
	defer raw.close()
	v.record.joined(time.Since(raw.began))
	var last rawFrame
	for n := 0; v.leave == 0 || n < v.leave; n++ {
		select {
		case <-done:
			return nil
		default:
		}
		f, err := raw.next(10 * time.Second)
		if err != nil {
			return fmt.Errorf("after %d packets: %w", n, err)
		}
		if err := v.judge(n, last, f); err != nil {
			return fmt.Errorf("packet %d, $%c: %w", n, f.kind, err)
		}
		last = f
		v.record.frames.Add(1)
		if v.slow {
			<-pace.C
		}
	}
	return nil
}

var (
	errFirst    = errors.New("the body does not begin with the header")
	errDamaged  = errors.New("the packet is not as it was sent")
	errDisagree = errors.New("another viewer saw another packet under this LocationId")
	errNoKey    = errors.New("does not begin a key frame, behind the header or a jump")
)

// judge looks at packet number i of a body, behind last.
func (v *flapViewer) judge(i int, last, f rawFrame) error {
	if i == 0 {
		if f.kind != 'H' || len(f.payload) != len(v.source.header) {
			return errFirst
		}
		return nil
	}
	if f.kind != 'D' {
		return errDamaged
	}
	n, ok := v.source.stamped(f.payload)
	switch {
	case !ok:
		return errDamaged
	case !v.record.agree(f.location, n):
		return errDisagree
	case i > 1 && f.location == last.location+1:
		return nil
	case i > 1 && !v.slow:
		return fmt.Errorf("LocationId %d comes after %d", f.location, last.location)
	case i > 1 && int32(f.location-last.location) <= 0:
		return fmt.Errorf("LocationId %d comes after %d, of a slow viewer", f.location, last.location)
	case n%10 != 0:
		return errNoKey
	}
	if i > 1 {
		v.record.skips.Add(1)
	}
	return nil
}

// Two hundred viewers, some slow, some coming and going, watch a source that is lost again and again: whatever they
// get is whole and in order, and the same for all; only the slow miss something, from key frame to key frame.
func TestFlappingSource(t *testing.T) {
	if testing.Short() {
		t.Skip("takes its time; left out with -short")
	}
	t.Parallel()
	pump := Pump(t, "lag: {max: 6s}\nburst: {max: 500ms}\nstreams:\n  - {name: Flap, type: mmsh_push, path: flap}")
	source := newFlapSource()
	record := &flapRecord{numbers: map[uint32]uint32{}}
	stop, done := make(chan struct{}), make(chan struct{})
	pushed := make(chan error, 1)
	go func() { pushed <- source.run(t, pump, stop) }()
	pump.WaitState(t, "flap", "live", 10*time.Second)

	var viewers sync.WaitGroup
	wrong := make(chan error, flapViewers)
	for i := range flapViewers {
		v := &flapViewer{source: source, record: record, pump: pump}
		switch i % 8 {
		case 0:
			v.slow = true
		case 1:
			v.leave = 30 + i
		}
		viewers.Go(func() {
			if err := v.watch(done); err != nil && !errors.Is(err, io.EOF) {
				wrong <- fmt.Errorf("viewer %d: %w", i, err)
			}
		})
	}
	pump.waitViewers(t, "flap", flapViewers-flapViewers/8)
	eventually(t, 60*time.Second, "the source has sent its packets", func() bool { return source.whole.Load() >= flapPackets })
	close(done)
	viewers.Wait()
	close(stop)
	if err := <-pushed; err != nil {
		t.Errorf("the source: %v", err)
	}
	close(wrong)
	for err := range wrong {
		t.Error(err)
	}
	t.Logf("%d packets to %d viewers in %d joins, the slowest in %v, and %d refused; %d jumps of slow viewers; the source was lost %d times in %d packets",
		record.frames.Load(), flapViewers, record.joins.Load(), time.Duration(record.slowest.Load()), record.refused.Load(),
		record.skips.Load(), source.losses.Load(), source.whole.Load())
	if record.skips.Load() == 0 {
		t.Error("no slow viewer fell behind: that was not tested")
	}
	if got := len(record.numbers); got < int(source.whole.Load())*9/10 {
		t.Errorf("%d of %d packets were published", got, source.whole.Load())
	}
}
