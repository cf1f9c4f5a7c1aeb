package loadtest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/mmsh"
)

// sample is a synthetic stream in pieces that tests put together as they like.
type sample struct {
	header  []byte
	packets [][]byte // ASF packets
}

func newSample(t testing.TB, n int) sample {
	t.Helper()
	o, err := PushOptions{URL: "http://h/x", Packet: 200, Rate: 16_000, KeyInterval: time.Second}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	m := newMaterial(o)
	s := sample{header: m.header}
	for i := range n {
		p, err := m.appendPacket(nil, int64(i), now())
		if err != nil {
			t.Fatal(err)
		}
		s.packets = append(s.packets, p)
	}
	return s
}

func (s sample) frame(i int) []byte { return frameOf(uint32(100+i), s.packets[i]) }

func frameOf(location uint32, packet []byte) []byte {
	b, err := mmsh.AppendData(nil, location, 0, packet)
	if err != nil {
		panic(err)
	}
	return b
}

// body is the header, the packets of these indexes, and the end.
func (s sample) body(indexes ...int) []byte {
	b := mmsh.AppendHeader(nil, s.header)
	for _, i := range indexes {
		b = append(b, s.frame(i)...)
	}
	return b
}

func newTestReader(kind bodyKind) *reader {
	t := newTally(1, int64(time.Second))
	t.beginWindow(0)
	r := &reader{t: t, client: 7}
	r.reset(kind, 0)
	return r
}

// again is a fresh reader with the tally of another, which is expensive to make.
func (r *reader) again(kind bodyKind) *reader {
	r.t.faults = nil
	n := &reader{t: r.t, client: r.client}
	n.reset(kind, 0)
	return n
}

func readerFaults(r *reader) []string {
	var list []string
	for _, f := range r.t.faults {
		list = append(list, f.Kind)
	}
	return list
}

// What the reader finds must not depend on how the network cuts the stream.
func TestReaderIsTheSameForEveryCut(t *testing.T) {
	s := newSample(t, 12)
	change := append(mmsh.AppendEnd(nil, mmsh.ReasonEntryEnd), mmsh.AppendChange(nil, 0)...)
	framed := slices.Concat([]byte{0x24, 'M', 12, 0, 0, 0, 0, 0, 0, 12, 12, 0, 'a', '=', '1', 0}, s.body(0, 1, 2, 4),
		[]byte{0x24, 'T', 0, 0, 0xA4, 'Z', 3, 0, 1, 2, 3}, change, s.body(5, 6, 7), mmsh.AppendEnd(nil, 0))
	plain := slices.Concat(slices.Clone(s.header), slices.Concat(s.packets...))
	for _, tc := range []struct {
		name       string
		kind       bodyKind
		body       []byte
		got, lost  uint64
		kinds      string
		wholeCount uint64
	}{
		{"framed with a gap and a change", framedBody, framed, 7, 1, "[lost key]", 7},
		{"plain", plainBody, plain, 12, 0, "[]", 12},
	} {
		t.Run(tc.name, func(t *testing.T) {
			check := func(how string, r *reader) {
				t.Helper()
				r.settle(0)
				if r.got != tc.got || r.missing != tc.lost || fmt.Sprint(readerFaults(r)) != tc.kinds || r.torn() {
					t.Fatalf("%s: got %d, lost %d, faults %v, torn %v; want %d, %d, %s, whole", how, r.got, r.missing,
						r.t.faults, r.torn(), tc.got, tc.lost, tc.kinds)
				}
			}
			r := newTestReader(tc.kind)
			for cut := range len(tc.body) {
				r = r.again(tc.kind)
				mustFeed(t, r, tc.body[:cut])
				mustFeed(t, r, tc.body[cut:])
				check(fmt.Sprintf("cut at %d", cut), r)
			}
			for _, size := range []int{1, 2, 3, 5, 7, 11, 13, 77, 78, 79, 1000} {
				r = r.again(tc.kind)
				for part := range slices.Chunk(tc.body, size) {
					mustFeed(t, r, part)
				}
				check(fmt.Sprintf("pieces of %d", size), r)
			}
		})
	}
}

func mustFeed(t *testing.T, r *reader, b []byte) {
	t.Helper()
	if err := r.feed(b, now()); err != nil {
		t.Fatal(err)
	}
}

// A viewer that lost, reordered or tore a packet says which, and where.
func TestReaderNamesPacketAndPlace(t *testing.T) {
	s := newSample(t, 10)
	headerSize := len(mmsh.AppendHeader(nil, s.header))
	frameSize := len(s.frame(0))
	place := func(n int) int64 { return int64(headerSize + n*frameSize) }
	tear := func(b []byte) []byte { b = bytes.Clone(b); b[len(b)-3] ^= 1; return b }
	for _, tc := range []struct {
		name   string
		frames [][]byte
		want   Fault
	}{
		{"lost", [][]byte{s.frame(0), s.frame(1), s.frame(4)},
			Fault{7, 2, place(2), "lost", "packets 2 to 3 did not come"}},
		{"reordered", [][]byte{s.frame(0), s.frame(2), frameOf(103, s.packets[1])},
			Fault{7, 1, place(2), "order", "packet 1 after packet 2"}},
		{"repeated", [][]byte{s.frame(0), s.frame(1), frameOf(102, s.packets[1])},
			Fault{7, 1, place(2), "order", "packet 1 after packet 1"}},
		{"torn", [][]byte{s.frame(0), s.frame(1), tear(s.frame(2))},
			Fault{7, 2, place(2), "torn", "not what was sent: the packet is torn or overwritten"}},
		{"MUST-P4 LocationId goes back", [][]byte{s.frame(0), s.frame(1), frameOf(90, s.packets[2])},
			Fault{7, 1, place(2), "order", "LocationId 90 after 101"}},
		{"MUST-P2 first packet is no key frame", [][]byte{s.frame(1)},
			Fault{7, 1, place(0), "key", "the first packet is not one in which a key frame starts"}},
		{"MUST-P3 larger than the packet size", [][]byte{s.frame(0), frameOf(101, make([]byte, 300))},
			Fault{7, 101, place(1), "size", "packet of 300 bytes, the header allows 200"}},
		{"stamp overwritten", [][]byte{s.frame(0), frameOf(101, make([]byte, 200))},
			Fault{7, 101, place(1), "torn", "no stamp where every packet has one"}},
		{"second header without $C", [][]byte{s.frame(0), mmsh.AppendHeader(nil, s.header)},
			Fault{7, 0, place(1), "order", "a header in mid-stream without $C before it"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newTestReader(framedBody)
			mustFeed(t, r, slices.Concat(mmsh.AppendHeader(nil, s.header), slices.Concat(tc.frames...)))
			for _, f := range r.t.faults {
				if f == tc.want {
					return
				}
			}
			t.Errorf("faults %v, want %v", r.t.faults, tc.want)
		})
	}
}

func TestReaderGivesUpWhereNothingCanBeTrusted(t *testing.T) {
	s := newSample(t, 3)
	for _, tc := range []struct{ name, want string }{
		{"no framing", "no framing header"},
		{"no room for the pre-header", "no room for its pre-header"},
		{"header is no ASF", "header not usable"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			body := map[string][]byte{
				"no framing":                 append(s.body(0), "HTTP/1.1 500"...),
				"no room for the pre-header": append(s.body(0), 0x24, 'D', 4, 0, 1, 2, 3, 4),
				"header is no ASF":           mmsh.AppendHeader(nil, make([]byte, 80)),
			}[tc.name]
			r := newTestReader(framedBody)
			err := r.feed(body, now())
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error %v, want one with %q", err, tc.want)
			}
			if r.t.protocol.Load() == 0 {
				t.Error("not counted as a protocol error")
			}
		})
	}
}

func TestReaderKnowsATornEnd(t *testing.T) {
	s := newSample(t, 2)
	body := s.body(0, 1)
	for _, tc := range []struct {
		name string
		cut  int
		want bool
	}{
		{"after the packet", 0, false}, {"in the payload", 1, true}, {"in the framing header", len(s.frame(1)) - 2, true},
	} {
		r := newTestReader(framedBody)
		mustFeed(t, r, body[:len(body)-tc.cut])
		if r.torn() != tc.want {
			t.Errorf("%s: torn %v", tc.name, r.torn())
		}
	}
}

func TestReaderMeasuresLatencyFromTheScheduleInTheWindowOnly(t *testing.T) {
	s := newSample(t, 3)
	r := newTestReader(framedBody)
	st, _ := readStamp(s.packets[2][stampAt:])
	r.t.beginWindow(st.published)
	if err := r.feed(s.body(0, 1, 2), st.published+int64(50*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n := r.t.ages().TotalCount(); n != 1 {
		t.Fatalf("%d latencies, want that of the packet in the window only", n)
	}
	if got := r.t.ages().Max(); got < 49_900 || got > 50_100 {
		t.Errorf("latency %d µs, want 50 ms", got)
	}
}

func TestReaderAssemblesASplitHeader(t *testing.T) {
	header := asf.BuildHeader(asf.HeaderSpec{PacketSize: 200, Flags: asf.FlagBroadcast, Padding: 66_000,
		Streams: []asf.StreamSpec{{Number: 1, Kind: asf.Audio, FormatTag: 0x161}}})
	if len(header) <= mmsh.MaxPayload {
		t.Fatal("the header is too short for this test")
	}
	r := newTestReader(framedBody)
	err := r.feed(mmsh.AppendHeader(nil, header), now())
	if err != nil && !strings.Contains(err.Error(), "header") { // too large to be taken is fine, garbage is not
		t.Fatal(err)
	}
	if r.torn() {
		t.Error("did not follow the fragments")
	}
}

func TestReaderAllocatesNothingOnceItHasJoined(t *testing.T) {
	s := newSample(t, 40)
	r := newTestReader(framedBody)
	mustFeed(t, r, s.body(0, 1))
	rest := s.body()[len(mmsh.AppendHeader(nil, s.header)):]
	for i := 2; i < 40; i++ {
		rest = append(rest, s.frame(i)...)
	}
	pieces := slices.Collect(slices.Chunk(rest, 333))
	at := now()
	if n := testing.AllocsPerRun(1, func() {
		for _, p := range pieces {
			if err := r.feed(p, at); err != nil {
				t.Error(err)
			}
		}
		r.seg, r.located = segment{}, false // the second round begins anew
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkReader(b *testing.B) {
	s := newSample(b, 100)
	r := newTestReader(framedBody)
	if err := r.feed(s.body(0), now()); err != nil {
		b.Fatal(err)
	}
	var rest []byte
	for i := 1; i < 100; i++ {
		rest = append(rest, s.frame(i)...)
	}
	b.SetBytes(int64(len(rest)))
	b.ReportAllocs()
	for b.Loop() {
		r.seg, r.located = segment{}, false
		if err := r.feed(rest, 1); err != nil {
			b.Fatal(err)
		}
	}
}

// A pulse of 18 packets for viewers who get what another one has checked already.
func BenchmarkFollowers(b *testing.B) {
	const viewers, pulse = 500, 18
	o, err := PushOptions{URL: "http://h/x", Rate: 1_000_000, KeyInterval: time.Second}.withDefaults()
	if err != nil {
		b.Fatal(err)
	}
	m := newMaterial(o)
	first := newTestReader(framedBody)
	all := make([]*reader, viewers)
	for i := range all {
		all[i] = first.again(framedBody)
	}
	number := int64(0)
	piece := func(n int, body []byte) []byte {
		for range n {
			p, err := m.appendPacket(nil, number, now())
			if err != nil {
				b.Fatal(err)
			}
			body = append(body, frameOf(uint32(number), p)...)
			number++
		}
		return body
	}
	begin := piece(1, mmsh.AppendHeader(nil, m.header))
	for _, r := range all {
		if err := r.feed(begin, now()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	var body []byte
	for b.Loop() {
		body = piece(pulse, body[:0])
		for _, r := range all {
			if err := r.feed(body, now()); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/viewers, "ns/viewer")
}

// unstamped is a sample as from a source that is not ours: valid ASF, numbered by LocationId alone.
func unstamped(t *testing.T, n int) sample {
	t.Helper()
	s := newSample(t, n)
	for _, p := range s.packets {
		copy(p[stampAt:], make([]byte, stampSize))
	}
	return s
}

// A packet that came behind its place is an error with its number and place, and it is late, not lost.
func TestLatePacketsAreErrorsButNotLost(t *testing.T) {
	stamped, foreign := newSample(t, 8), unstamped(t, 8)
	for _, tc := range []struct {
		name          string
		from          sample
		order         []int
		kinds         string
		got, of, lost uint64
	}{
		{"two exchanged", foreign, []int{0, 1, 3, 2, 4, 5}, "[lost order]", 6, 6, 0},
		{"two exchanged, with stamps", stamped, []int{0, 1, 3, 2, 4, 5}, "[lost order order]", 6, 6, 0},
		{"one of a gap comes, the other does not", foreign, []int{0, 1, 4, 3, 5}, "[lost order]", 5, 6, 1},
		{"one comes twice", foreign, []int{0, 1, 2, 2, 3}, "[order]", 4, 4, 0},
		{"an early one comes again", foreign, []int{0, 1, 2, 0, 3}, "[order]", 4, 4, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newTestReader(framedBody)
			mustFeed(t, r, tc.from.body(tc.order...))
			r.settle(0)
			if kinds := fmt.Sprint(readerFaults(r)); kinds != tc.kinds || r.got != tc.got || r.of != tc.of || r.missing != tc.lost {
				t.Errorf("%d of %d, %d lost, faults %v; want %d of %d, %d, %s", r.got, r.of, r.missing, r.t.faults, tc.got, tc.of,
					tc.lost, tc.kinds)
			}
			if n := r.t.lost.Load(); n != tc.lost {
				t.Errorf("the tally has %d lost, want %d", n, tc.lost)
			}
		})
	}
}

// Numbers that begin anew without $C are one error, not one for each packet from there on.
func TestLocationIdsThatBeginAnewAreOneError(t *testing.T) {
	s := unstamped(t, 6)
	r := newTestReader(framedBody)
	mustFeed(t, r, slices.Concat(mmsh.AppendHeader(nil, s.header), frameOf(50_000, s.packets[0]), frameOf(50_001, s.packets[1]),
		frameOf(1, s.packets[2]), frameOf(2, s.packets[3]), frameOf(3, s.packets[4])))
	if kinds := fmt.Sprint(readerFaults(r)); kinds != "[order]" {
		t.Errorf("faults %v, want one of order", r.t.faults)
	}
}

// Without stamps a packet is still an ASF packet, or an error.
func TestPacketsOfOtherSourcesAreDissected(t *testing.T) {
	s := unstamped(t, 4)
	for _, tc := range []struct {
		name   string
		packet []byte
		kinds  string
	}{
		{"whole", s.packets[1], "[]"},
		{"cut inside its head", s.packets[1][:5], "[packet]"},
		{"no ASF", bytes.Repeat([]byte{0xFF}, 200), "[packet]"},
	} {
		for _, kind := range []bodyKind{framedBody, plainBody} {
			if kind == plainBody && len(tc.packet) != 200 {
				continue // packets of plain ASF have all the same size
			}
			body := slices.Concat(mmsh.AppendHeader(nil, s.header), frameOf(100, s.packets[0]), frameOf(101, tc.packet), frameOf(102, s.packets[2]))
			if kind == plainBody {
				body = slices.Concat(s.header, s.packets[0], tc.packet, s.packets[2])
			}
			r := newTestReader(kind)
			mustFeed(t, r, body)
			if kinds := fmt.Sprint(readerFaults(r)); kinds != tc.kinds {
				t.Errorf("%s, kind %d: faults %v, want %s", tc.name, kind, r.t.faults, tc.kinds)
			}
		}
	}
}
