package mmsh

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

var (
	bigHeader = asfHeader(5461)
	newHeader = asfHeader(700)
	packetA   = asfPacket(8223, 0xAA)
	packetB   = asfPacket(1200, 0xBB)
)

func pushH(h []byte) []byte { return must(AppendPushHeader(nil, h)) }
func pushD(p []byte) []byte { return must(AppendPushData(nil, p)) }
func pushC(h []byte) []byte { return must(AppendPushChange(nil, h)) }
func pushF(n int) []byte    { return must(AppendFiller(nil, n)) }
func pullH(h []byte) []byte { return AppendHeader(nil, h) }
func pullD(loc uint32, p []byte) []byte {
	return must(AppendData(nil, loc, 0, p))
}

func TestDecodeSequences(t *testing.T) {
	end, entryEnd := AppendEnd(nil, 0), AppendEnd(nil, 1)
	change := AppendChange(nil, 0)
	bit := pullD(3, packetB)
	bit[0] = 0xA4
	for _, c := range []struct {
		name    string
		framing Framing
		role    Role
		body    []byte
		want    string
	}{
		{"push", PushFraming, Push, cat(pushH(bigHeader), pushD(packetA), pushD(packetB), end), "header packet packet end"},
		{"MUST-S5 push change carries its header", PushFraming, Push,
			cat(pushH(bigHeader), pushD(packetA), entryEnd, pushC(newHeader), pushD(packetB)), "header packet end change packet"},
		{"MUST-S5 filler and unknown types", PushFraming, Push,
			cat(pushH(bigHeader), unhex("245a0300 010203"), pushD(packetA), pushF(100), pushF(0)), "header skip packet skip skip"},
		{"stray bytes at the end of a push", PushFraming, Push, cat(pushH(bigHeader), pushF(3), []byte{0, 0, 0}), "header skip"},
		{"filler cut by the end of the body", PushFraming, Push, cat(pushH(bigHeader), pushF(300)[:120]), "header skip"},
		{"pull", PullFraming, Pull, cat(pullH(bigHeader), pullD(0, packetA), pullD(1, packetB), end), "header packet packet end"},
		{"MUST-C2 B bit", PullFraming, Pull, cat(pullH(bigHeader), bit), "header packet"},
		{"MUST-C2 metadata, test, unknown", PullFraming, Pull,
			cat(unhex("244d0a00 00000000 000c0a00 6100"), unhex("24540000"), pullH(bigHeader), unhex("24 01 0200 ffff"), pullD(0, packetA)),
			"skip skip header skip packet"},
		{"MUST-C2 split header", PullFraming, Pull, cat(AppendHeader(nil, asfHeader(150_000)), pullD(0, packetA)), "header packet"},
		{"header without flags", PullFraming, Pull, cat(appendPre(nil, 'H', 0, 0, len(newHeader)), newHeader, pullD(0, packetA)), "header packet"},
		{"MUST-C2 header without change", PullFraming, Pull,
			cat(pullH(bigHeader), pullD(0, packetA), pullH(newHeader), pullD(1, packetB)), "header packet header packet"},
		{"MUST-C2 change", PullFraming, Pull,
			cat(pullH(bigHeader), entryEnd, change, pullH(newHeader), pullD(0, packetB)), "header end change header packet"},
		{"MUST-C2 $E of 4, 8 and 12 bytes", PullFraming, Pull, cat(pullH(bigHeader),
			unhex("24450400 00000000"), unhex("24450800 0b000000 00000800"), unhex("24450c00 01000000 000c0c00 00000000")),
			"header end end end"},
		{"FFmpeg pushes with pre-header", PullFraming, Push, cat(pullH(bigHeader), pullD(1, packetA), unhex("24450800 0b000000 00000800")),
			"header packet end"},
		{"MUST-S5 short $P in a push is passed over", PushFraming, Push, cat(pushH(newHeader), unhex("24500000"), pushD(packetB)), "header skip packet"},
		{"fourth $P goes by its length", PullFraming, Pull, cat(pairs(420, 0), unhex("24500500 01000000 ff"), pullH(newHeader)), "skip skip skip header"},
		{"empty", PushFraming, Push, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, err := decodeAll(c.body, c.framing, c.role)
			if err != nil {
				t.Fatalf("after %q: %v", kinds(list), err)
			}
			if got := kinds(list); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestDecodeCarriesThePayloads(t *testing.T) {
	list, err := decodeAll(cat(pushH(bigHeader), pushD(packetA), pushC(newHeader)), PushFraming, Push)
	if err != nil {
		t.Fatal(err)
	}
	wantBytes(t, list[0].Header, bigHeader)
	wantBytes(t, list[1].Payload, packetA)
	wantBytes(t, list[2].Header, newHeader)

	list, err = decodeAll(cat(pullH(asfHeader(70_000)), must(AppendData(nil, 50291, 7, packetB)), AppendEnd(nil, 1)), PullFraming, Pull)
	if err != nil {
		t.Fatal(err)
	}
	wantBytes(t, list[0].Header, asfHeader(70_000))
	wantBytes(t, list[1].Payload, packetB)
	if e := list[1].Event; !e.HasLocation || e.LocationID != 50291 || e.AFFlags != 7 {
		t.Errorf("packet event %+v", e)
	}
	if e := list[2].Event; !e.EntryEnd() || e.Reason != ReasonEntryEnd {
		t.Errorf("end event %+v", e)
	}
}

func TestLongEndIsNeverAnEntryEnd(t *testing.T) {
	list, err := decodeAll(cat(pullH(newHeader), unhex("24450800 01000000 00000800")), PullFraming, Pull)
	if err != nil || list[1].Reason != 1 || list[1].EntryEnd() {
		t.Errorf("%v, %+v: a sequence number was taken for a Reason", err, list[1].Event)
	}
}

func TestDecodeRefuses(t *testing.T) {
	split := AppendHeader(nil, asfHeader(70_000))
	for _, c := range []struct {
		name    string
		framing Framing
		role    Role
		body    []byte
		want    error
		says    string
	}{
		{"garbage", PushFraming, Push, []byte("GET / HTTP"), ErrNotFramed, "offset 0"},
		{"garbage later", PushFraming, Push, cat(pushH(newHeader), []byte("zzzz")), ErrNotFramed, "offset 704"},
		{"MUST-S6 data first", PushFraming, Push, pushD(packetA), ErrOrder, "$D at the start"},
		{"data first in a pull", PullFraming, Pull, pullD(0, packetA), ErrOrder, "before its $H"},
		{"data after a change without header", PullFraming, Pull, cat(pullH(newHeader), AppendChange(nil, 0), pullD(0, packetA)), ErrOrder, "before its $H"},
		{"empty data", PushFraming, Push, cat(pushH(newHeader), pushD(nil)), ErrSize, "0 bytes"},
		{"data that cannot be reflected", PushFraming, Push, cat(pushH(newHeader), pushD(make([]byte, 65528))), ErrSize, "65527"},
		{"empty header", PushFraming, Push, pushH(nil), ErrSize, "empty header"},
		{"push change without header", PushFraming, Push, cat(pushH(newHeader), pushD(packetB), AppendChange(nil, 0)), ErrSize, "without a header"},
		{"header of a push too long", PushFraming, Push, cat(unhex("2448fcff"), asfHeader(65532)), ErrSize, "at most 65531"},
		{"header of a change too long", PushFraming, Push, cat(pushH(newHeader), pushD(packetB), unhex("2443fcff 00000000"), asfHeader(65528)), ErrSize, "at most 65527"},
		{"short change", PushFraming, Push, cat(pushH(newHeader), pushD(packetB), unhex("24430300 000000")), ErrSize, "at least 4"},
		{"short end", PullFraming, Pull, cat(pullH(newHeader), unhex("24450200 0000")), ErrSize, "at least 4"},
		{"pre-header disagrees", PullFraming, Pull, unhex("24480900 00000000 000c0800 30"), ErrSize, "packet size 8"},
		{"no room for a pre-header", PullFraming, Pull, unhex("24480700 00000000 000c0700"), ErrSize, "at least 8"},
		{"data inside a split header", PullFraming, Pull, cat(split[:12+65527], pullD(0, packetA)), ErrOrder, "inside a header"},
		{"header without end", PullFraming, Pull, bytes.Repeat(split[:12+65527], 5), ErrSize, "at most 262144"},
		{"second header of a push", PullFraming, Push, cat(pullH(newHeader), pullH(newHeader)), ErrOrder, "$H after $H"},
		{"MUST-S5 length crosses the end", PushFraming, Push, cat(pushH(newHeader), pushD(packetA)[:500]), io.ErrUnexpectedEOF, "496 bytes into a $D"},
		{"header cut", PushFraming, Push, pushH(newHeader)[:500], io.ErrUnexpectedEOF, "inside a $H"},
		{"split header cut", PullFraming, Pull, split[:12+65527], io.ErrUnexpectedEOF, "several packets"},
		{"end cut", PullFraming, Pull, cat(pullH(newHeader), unhex("24450400 0000")), io.ErrUnexpectedEOF, "inside a $E"},
		{"wrong framing", PlainASF, Push, bigHeader, ErrUnknownBody, "plain ASF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := decodeAll(c.body, c.framing, c.role)
			wantErr(t, err, c.want)
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %q does not say %q", err, c.says)
			}
		})
	}
}

// feed drives a decoder by hand over a body in memory.
func feed(t *testing.T, d *Decoder, body []byte) (last Event, err error) {
	t.Helper()
	for len(body) > 0 {
		n := copy(d.Buffer(), body)
		ev, err := d.Next()
		if err != nil {
			return ev, err
		}
		body = body[min(n+ev.Length, len(body)):]
		last = ev
	}
	return last, nil
}

func TestPacketSizeBoundsData(t *testing.T) {
	d := NewDecoder(PushFraming, Push)
	if _, err := feed(t, d, pushH(bigHeader)); err != nil {
		t.Fatal(err)
	}
	d.SetPacketSize(8223)
	if ev, err := feed(t, d, pushD(packetA)); err != nil || ev.Length != 8223 {
		t.Fatalf("%+v, %v", ev, err)
	}
	_, err := feed(t, d, pushD(make([]byte, 8224)))
	wantErr(t, err, ErrSize)
	_, again := d.Next()
	if again != err {
		t.Errorf("after an error: %v", again)
	}
	wantErr(t, d.EndOfBody(0), ErrSize)
}

func TestContinuedPush(t *testing.T) {
	for _, c := range []struct {
		name string
		body []byte
	}{
		{"MUST-S4 data", pushD(packetA)}, {"MUST-S4 change", pushC(newHeader)}, {"filler", pushF(9)},
		{"end", AppendEnd(nil, 0)}, {"repeated header", pushH(newHeader)},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := NewDecoder(PushFraming, Push)
			d.Continue()
			if _, err := feed(t, d, c.body); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCounters(t *testing.T) {
	d := NewDecoder(PullFraming, Pull)
	b := pullD(12, packetB)
	b[0] = 0xA4
	body := cat(unhex("244d0800 00000000 000c0800"), pullH(bigHeader), pullD(10, packetB), b, pullD(15, packetB), pullD(14, packetB),
		unhex("24540000"), unhex("24460200 0000"), unhex("245a0100 00"), AppendChange(nil, 0), pullH(newHeader), pullD(0, packetB), AppendEnd(nil, 0))
	if _, err := feed(t, d, body); err != nil {
		t.Fatal(err)
	}
	want := Counters{Headers: 2, Packets: 5, Changes: 1, Ends: 1, Metadata: 1, Tests: 1, Fillers: 1, Unknown: 1,
		SkippedBytes: 11, BBits: 1, Gaps: 2, Missing: 3, Backward: 1}
	if got := d.Counters(); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if d.Offset() != int64(len(body)-8) {
		t.Errorf("offset %d, want that of $E, %d", d.Offset(), len(body)-8)
	}
}

func TestGapsOfLocationID(t *testing.T) {
	for _, c := range []struct {
		name                    string
		places                  []uint32
		gaps, missing, backward uint64
	}{
		{"MUST-P4 one by one", []uint32{50291, 50292, 50293}, 0, 0, 0},
		{"MUST-P4 wrap is no gap", []uint32{0xFFFFFFFF, 0, 1}, 0, 0, 0},
		{"MUST-P4 skip is one", []uint32{0, 150}, 1, 149, 0},
		{"MUST-P4 skip across the wrap", []uint32{0xFFFFFFF0, 4}, 1, 19, 0},
		{"repeated and going back", []uint32{7, 7, 3}, 0, 0, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := NewDecoder(PullFraming, Pull)
			body := pullH(newHeader)
			for _, place := range c.places {
				body = append(body, pullD(place, packetB)...)
			}
			if _, err := feed(t, d, body); err != nil {
				t.Fatal(err)
			}
			if got := d.Counters(); got.Gaps != c.gaps || got.Missing != c.missing || got.Backward != c.backward {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestRealBodyOfFFmpeg(t *testing.T) {
	body := testdata(t, "ffmpeg-asf_stream.bin")
	list, err := decodeAll(body, PullFraming, Push)
	if err != nil {
		t.Fatal(err)
	}
	n := len(list)
	if list[0].Kind != Header || list[n-1].Kind != End || strings.Count(kinds(list), "packet") != n-2 || n < 5 {
		t.Fatalf("got %q", kinds(list))
	}
	for _, f := range list[1 : n-1] {
		if len(f.Payload) != 1600 {
			t.Errorf("packet of %d bytes", len(f.Payload))
		}
	}
	if list[n-1].EntryEnd() {
		t.Error("FFmpeg's $E with a sequence number was taken for an entry's end")
	}
	wantBytes(t, encode(t, list, PullFraming), body)
}

func TestCapturedHeaders(t *testing.T) {
	for _, c := range []struct {
		name        string
		framing     Framing
		framed, asf string
	}{
		{"push", PushFraming, "ee4-push-header-framed.bin", "ee4-push-header-asf.bin"},
		{"pull", PullFraming, "ee4-pull-header-framed.bin", "ee4-pull-header-asf.bin"},
	} {
		t.Run(c.name, func(t *testing.T) {
			framed, asf := fixture(t, c.framed), fixture(t, c.asf)
			if f, _, err := DetectFraming(framed); f != c.framing || err != nil {
				t.Errorf("detected %v, %v", f, err)
			}
			list, err := decodeAll(framed, c.framing, Push)
			if err != nil || kinds(list) != "header" {
				t.Fatalf("%q, %v", kinds(list), err)
			}
			wantBytes(t, list[0].Header, asf)
			wantBytes(t, encode(t, list, c.framing), framed)
		})
	}
}

func TestDecodeStopsWhenTheCallerDoes(t *testing.T) {
	n := 0
	for range Decode(cat(pullH(newHeader), pullD(0, packetB), pullD(1, packetB)), PullFraming) {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("%d frames", n)
	}
}
