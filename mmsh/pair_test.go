package mmsh

import (
	"bytes"
	"testing"
)

// pairs builds three packet-pair packets as the formula says, behind an HTTP head of r bytes; extra bytes that nobody
// promised may follow.
func pairs(r, extra int) []byte {
	noise := bytes.Repeat([]byte{0x24, 0x48, 0x00, 0x07, 0xA4, 0x4D, 0x31}, 300)
	reason := []byte{byte(r), byte(r >> 8), 0, 0}
	return cat(
		unhex("2450f801"), reason, noise[:504-r],
		unhex("2450f801"), reason, noise[:504],
		unhex("24501804"), reason, noise[:1048+r],
		noise[:extra])
}

func TestPairsArePassedAndTheHeaderIsFound(t *testing.T) {
	for _, c := range []struct {
		name  string
		r     int
		extra int
		scans uint64
	}{{"as the formula says", 420, 0, 0}, {"larger head", 504, 0, 0}, {"more bytes than promised", 420, 333, 1}} {
		t.Run(c.name, func(t *testing.T) {
			d := NewDecoder(PullFraming, Pull)
			meta := unhex("244d0a00 00000000 000c0a00 6100")
			last, err := feed(t, d, cat(pairs(c.r, c.extra), meta, pullH(bigHeader), pullD(0, packetB)))
			if err != nil || last.Kind != Packet {
				t.Fatalf("%+v, %v", last, err)
			}
			got := d.Counters()
			if got.Pairs != 3 || got.Headers != 1 || got.Packets != 1 || got.Metadata != 1 || got.Resyncs != c.scans {
				t.Errorf("counters %+v", got)
			}
		})
	}
}

func TestPairsOfAnotherLengthAreResynchronised(t *testing.T) {
	body := cat(unhex("2450f801 a4010000"), bytes.Repeat([]byte{0x24}, 900), pullH(bigHeader), pullD(0, packetB))
	d := NewDecoder(PullFraming, Pull)
	last, err := feed(t, d, body)
	if err != nil || last.Kind != Packet || d.Counters().Resyncs != 1 {
		t.Fatalf("%+v, %v, %+v", last, err, d.Counters())
	}
}

func TestResyncIsBounded(t *testing.T) {
	d := NewDecoder(PullFraming, Pull)
	_, err := feed(t, d, cat(pairs(100, 0), make([]byte, 64<<10)))
	wantErr(t, err, ErrNotFramed)
	if n := d.Counters().ResyncBytes; n > maxResync {
		t.Errorf("looked through %d bytes", n)
	}
}

func TestPairWithoutReasonAndInAPush(t *testing.T) {
	list, err := decodeAll(cat(unhex("24500200 0000"), pullH(newHeader)), PullFraming, Pull)
	if err != nil || kinds(list) != "skip header" {
		t.Errorf("short: %q, %v", kinds(list), err)
	}
	list, err = decodeAll(cat(pushH(newHeader), unhex("24500500 0102030405"), pushD(packetB)), PushFraming, Push)
	if err != nil || kinds(list) != "header skip packet" {
		t.Errorf("push: %q, %v", kinds(list), err)
	}
}
