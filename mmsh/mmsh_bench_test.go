package mmsh

import "testing"

// packets returns a decoder past its header and the wire form of one data packet.
func packets(tb testing.TB, framing Framing, role Role) (d *Decoder, packet []byte) {
	header, packet := pullH(bigHeader), pullD(7, packetA)
	if framing == PushFraming {
		header, packet = pushH(bigHeader), pushD(packetA)
	}
	d = NewDecoder(framing, role)
	for len(header) > 0 {
		header = header[copy(d.Buffer(), header):]
		if _, err := d.Next(); err != nil {
			tb.Fatal(err)
		}
	}
	return d, packet
}

// parse takes one data packet through the decoder as a reader of a connection would.
func parse(tb testing.TB, d *Decoder, packet []byte) {
	for {
		packet = packet[copy(d.Buffer(), packet):]
		ev, err := d.Next()
		if err != nil {
			tb.Fatal(err)
		}
		if ev.Kind == Packet {
			return
		}
	}
}

func TestADataPacketCostsNoAllocation(t *testing.T) {
	for _, framing := range []Framing{PushFraming, PullFraming} {
		d, packet := packets(t, framing, Push)
		if n := testing.AllocsPerRun(1000, func() { parse(t, d, packet) }); n != 0 {
			t.Errorf("%v: %v allocations for a packet", framing, n)
		}
	}
	head := make([]byte, DataHeadSize)
	if n := testing.AllocsPerRun(1000, func() { PutDataHead(head, 1, 0, 8223) }); n != 0 {
		t.Errorf("PutDataHead: %v allocations", n)
	}
}

func TestHeadsCostNoAllocation(t *testing.T) {
	buf := make([]byte, 0, 1024)
	r := ReplyParams{ClientID: 1, V9: true}
	if n := testing.AllocsPerRun(1000, func() { buf = AppendPlayHead(buf[:0], r) }); n != 0 {
		t.Errorf("AppendPlayHead: %v allocations", n)
	}
}

func BenchmarkDecodePush(b *testing.B) { benchmarkDecode(b, PushFraming) }
func BenchmarkDecodePull(b *testing.B) { benchmarkDecode(b, PullFraming) }

func benchmarkDecode(b *testing.B, framing Framing) {
	d, packet := packets(b, framing, Push)
	b.ReportAllocs()
	for b.Loop() {
		parse(b, d, packet)
	}
}

func BenchmarkPutDataHead(b *testing.B) {
	head := make([]byte, DataHeadSize)
	b.ReportAllocs()
	for b.Loop() {
		PutDataHead(head, 1, 0, 8223)
	}
}

func BenchmarkPlayHead(b *testing.B) {
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendPlayHead(buf[:0], ReplyParams{ClientID: 2718281828})
	}
}

func BenchmarkClassify(b *testing.B) {
	h := header("User-Agent: NSPlayer/4.1.0.3856", "Pragma: no-cache,rate=1.000000,request-context=2", "Pragma: xPlayStrm=1",
		"Pragma: xClientGUID={c77e7400-738a-11d2-9add-0020af0a3278}", "Pragma: stream-switch-count=2",
		"Pragma: stream-switch-entry=ffff:1:0 ffff:2:0")
	b.ReportAllocs()
	for b.Loop() {
		Classify("GET", h)
	}
}
