package ingest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/internal/testcard"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/ringbuf"
	"github.com/stream-pump/stream-pump/stream"
)

// pushBody is a body in push framing.
func pushBody(raw []byte, list ...[]byte) []byte {
	b, _ := mmsh.AppendPushHeader(nil, raw)
	return append(b, pushData(list...)...)
}

func pushData(list ...[]byte) []byte {
	var b []byte
	for _, p := range list {
		b, _ = mmsh.AppendPushData(b, p)
	}
	return b
}

// pullBody is a body in pull framing.
func pullBody(raw []byte, location uint32, list ...[]byte) []byte {
	b := mmsh.AppendHeader(nil, raw)
	for i, p := range list {
		b, _ = mmsh.AppendData(b, location+uint32(i), 0, p)
	}
	return b
}

func plainBody(raw []byte, list ...[]byte) []byte {
	return append(bytes.Clone(raw), bytes.Join(list, nil)...)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func filler(n int) []byte {
	b, _ := mmsh.AppendFiller(nil, n)
	return b
}

func pushChange(raw []byte) []byte {
	b, _ := mmsh.AppendPushChange(nil, raw)
	return b
}

// index is the beginning of a Simple Index Object as FFmpeg appends it, and the stray end packet behind it.
var index = join(asf.GUIDSimpleIndex[:], make([]byte, 40), []byte{0x24, 0x45, 0x08, 0, 1, 0, 0, 0, 0, 0, 8, 0})

func TestReadBody(t *testing.T) { // MUST-S3, MUST-S5, MUST-C2
	raw, list := testHeader(320), packets(0, 12)
	other := testHeader(640)
	withMark := bytes.Clone(pullBody(raw, 1, list...))
	withMark[len(withMark)-testPacket-12] = 0xA4
	for _, c := range []struct {
		name  string
		role  mmsh.Role
		body  []byte
		want  int // packets published
		ended bool
	}{
		{"push framing", mmsh.Push, pushBody(raw, list...), 12, false},
		{"push framing, $F between and at the end", mmsh.Push, join(pushBody(raw, list[:4]...), filler(0), pushData(list[4:]...), filler(999)), 12, false},
		{"$F is cut by the end of the body", mmsh.Push, join(pushBody(raw, list...), filler(100)[:50]), 12, false},
		{"one to three stray bytes at the end", mmsh.Push, join(pushBody(raw, list...), []byte{0, 0, 0}), 12, false},
		{"push, $E(0)", mmsh.Push, join(pushBody(raw, list...), mmsh.AppendEnd(nil, 0)), 12, true},
		{"push, $E(1) $C", mmsh.Push, join(pushBody(raw, list[:5]...), mmsh.AppendEnd(nil, 1), pushChange(other), pushData(list[5:]...)), 12, false},
		{"push, $C without $E", mmsh.Push, join(pushBody(raw, list[:5]...), pushChange(other), pushData(list[5:]...)), 12, false},
		{"push, unknown type", mmsh.Push, join(pushBody(raw, list[:5]...), []byte{0x24, 'X', 3, 0, 1, 2, 3}, pushData(list[5:]...)), 12, false},
		{"pull framing", mmsh.Pull, pullBody(raw, 1, list...), 12, false},
		{"pull framing from an encoder, long $E", mmsh.Push, join(pullBody(raw, 1, list...), []byte{0x24, 0x45, 8, 0, 12, 0, 0, 0, 0, 0, 8, 0}), 12, true},
		{"pull, $E of 12 bytes", mmsh.Pull, join(pullBody(raw, 1, list...), []byte{0x24, 0x45, 12, 0}, make([]byte, 12)), 12, true},
		{"pull, B bit", mmsh.Pull, withMark, 12, false},
		{"pull, $M in front", mmsh.Pull, join([]byte{0x24, 'M', 12, 0, 0, 0, 0, 0, 0, 0x0C, 12, 0, 'a', 'b', 'c', 0}, pullBody(raw, 1, list...)), 12, false},
		{"pull, $T and unknown", mmsh.Pull, join([]byte{0x24, 'T', 0, 0, 0xA4, 'z', 1, 0, 9}, pullBody(raw, 1, list...)), 12, false},
		{"pull, header in mid-stream without $C", mmsh.Pull, join(pullBody(raw, 1, list[:5]...), pullBody(other, 6, list[5:]...)), 12, false},
		{"pull, $C $H", mmsh.Pull, join(pullBody(raw, 1, list[:5]...), mmsh.AppendChange(nil, 0), pullBody(other, 6, list[5:]...)), 12, false},
		{"plain ASF", mmsh.Push, plainBody(raw, list...), 12, false},
		{"plain ASF, index and stray $E behind", mmsh.Push, join(plainBody(raw, list...), index), 12, true},
		{"plain ASF, stray $E alone", mmsh.Push, join(plainBody(raw, list...), []byte{0x24, 0x45, 8, 0}), 12, true},
	} {
		for how, wrap := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader,
		} {
			t.Run(c.name+", "+how, func(t *testing.T) {
				r := newRig(t)
				f := r.feed()
				res, err := ReadBody(wrap(bytes.NewReader(c.body)), f, BodyOptions{Role: c.role})
				f.Lost()
				if err != nil || res.Ended != c.ended || int(res.Packets) != c.want {
					t.Fatalf("%d packets, ended %v: %v", res.Packets, res.Ended, err)
				}
				var data []got
				for _, g := range r.take() {
					if g.Kind == ringbuf.Data {
						data = append(data, g)
					}
				}
				sameBytes(t, data, list)
			})
		}
	}
}

func TestReadBodyRefuses(t *testing.T) { // MUST-S5, MUST-S6, MUST-R4
	raw, list := testHeader(320), packets(0, 6)
	long := append(bytes.Clone(list[0]), 0)
	for _, c := range []struct {
		name string
		body []byte
		kind error
		text string // of the error
		want int    // packets published before it
	}{
		{"nothing", nil, mmsh.ErrUnknownBody, "empty", 0},
		{"garbage", []byte("GET / HTTP/1.1\r\n\r\n"), mmsh.ErrUnknownBody, "neither ASF nor MMSH", 0},
		{"$D first", pushData(list...), mmsh.ErrUnknownBody, "24 44", 0},
		{"header of another kind", join([]byte{0x24, 'H', 200, 0}, make([]byte, 200)), mmsh.ErrUnknownBody, "24 48", 0},
		{"header cut by the end", pushBody(raw)[:200], io.ErrUnexpectedEOF, "$H", 0},
		{"header that lies", pushBody(append(bytes.Clone(raw[:16]), bytes.Repeat([]byte{0xFF}, 300)...)), asf.ErrHeaderSize, "header", 0},
		{"packet cut by the end", pushBody(raw, list...)[:len(pushBody(raw, list...))-10], io.ErrUnexpectedEOF, "offset", 5},
		{"$D larger than the header allows", pushBody(raw, list[0], long), mmsh.ErrSize, "offset", 1},
		{"$H again", join(pushBody(raw, list[0]), pushBody(raw)), mmsh.ErrOrder, "offset", 1},
		{"plain packet cut by the end", plainBody(raw, list[0], list[1][:77]), io.ErrUnexpectedEOF, "77 of 512", 1},
		{"plain packet cut after some bytes", plainBody(raw, list[0], list[1][:7]), io.ErrUnexpectedEOF, "7 bytes", 1},
		{"plain header cut", raw[:100], io.ErrUnexpectedEOF, "100 of", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			f := r.feed()
			_, err := ReadBody(bytes.NewReader(c.body), f, BodyOptions{Role: mmsh.Push})
			f.Lost()
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("error %v, want one that wraps %v and says %q", err, c.kind, c.text)
			}
			if n := len(r.data()); n != c.want {
				t.Errorf("%d packets were published, want %d", n, c.want)
			}
		})
	}
}

func TestReadBodyTellsALostConnection(t *testing.T) {
	body := pushBody(testHeader(320), packets(0, 6)...)
	for _, cut := range []int{3, 100, len(body) - 5, len(body)} {
		r := newRig(t)
		f := r.feed()
		_, err := ReadBody(io.MultiReader(bytes.NewReader(body[:cut]), iotest.ErrReader(os.ErrDeadlineExceeded)), f, BodyOptions{Role: mmsh.Push})
		f.Lost()
		var lost *LostError
		if !errors.As(err, &lost) || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("broken after %d bytes: %v", cut, err)
		}
	}
}

func TestReadBodyContinuesASession(t *testing.T) { // MUST-S4
	r := newRig(t)
	f := r.feed()
	list := packets(0, 9)
	if _, err := ReadBody(bytes.NewReader(join(pushBody(testHeader(320), list[:3]...), filler(64))), f, BodyOptions{Role: mmsh.Push}); err != nil {
		t.Fatal(err)
	}
	for _, part := range [][]byte{pushData(list[3:6]...), join(filler(3), pushData(list[6:]...))} {
		res, err := ReadBody(bytes.NewReader(part), f, BodyOptions{Role: mmsh.Push, Framing: mmsh.PushFraming, Seen: true})
		if err != nil || res.Packets != 3 {
			t.Fatalf("%d packets: %v", res.Packets, err)
		}
	}
	f.Lost()
	sameBytes(t, r.data(), list)
}

func TestReadBodyOfTheTestCard(t *testing.T) {
	r := newRig(t)
	f := r.feed()
	res, err := ReadBody(bytes.NewReader(testcard.ASF), f, BodyOptions{Role: mmsh.Push})
	f.End()
	if err != nil || !res.Ended || res.Framing != mmsh.PlainASF {
		t.Fatalf("%+v, %v", res, err)
	}
	for _, reason := range []string{dropMalformed, dropOversized, dropUndeclared} {
		if n := r.dropped(reason); n != 0 {
			t.Errorf("%d packets were dropped as %s", n, reason)
		}
	}
}

func TestReadBodyWithoutMemory(t *testing.T) {
	pool := ringbuf.NewPool(400) // room for what ends the stream, not for a packet
	s := stream.New(stream.Options{Path: "x", Pool: pool, EndFrame: mmsh.AppendEnd(nil, 0)})
	f := NewFeed(t.Context(), FeedOptions{Stream: s, Timeline: NewTimeline()})
	res, err := ReadBody(bytes.NewReader(pushBody(testHeader(320), packets(0, 3)...)), f, BodyOptions{Role: mmsh.Push})
	f.End()
	if n := s.Metrics().PacketsDropped(dropNoMemory).Load(); err != nil || res.Packets != 3 || n != 3 {
		t.Errorf("%d packets met, %d counted: %v", res.Packets, n, err)
	}
}
