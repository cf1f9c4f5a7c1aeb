package asf

import (
	"bytes"
	"os"
	"testing"
)

// sample is a file of testdata and what is known about it.
type sample struct {
	name     string
	header   int // bytes
	flags    uint32
	size     int // packet size
	packets  int
	keys     int // packets in which a key frame starts
	codec    string
	behind   GUID // object behind the packets
	trailing bool // ends with a stray end packet
}

var samples = []sample{
	{"ffmpeg-live.asf", 809, 3, 1024, 16, 2, "WMV2", GUIDSimpleIndex, true},
	{"ffmpeg-file.asf", 789, 2, 800, 8, 2, "MP43", GUIDSimpleIndex, false},
	{"vlc-file.asf", 783, 2, 4096, 3, 3, "WMV2", GUIDIndex, false},
}

// readSample splits a file into header, packets and what follows them.
func readSample(t testing.TB, name string) (header []byte, packets [][]byte, rest []byte) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	n, err := HeaderSize(b)
	if err != nil {
		t.Fatal(err)
	}
	header, rest = b[:n], b[n:]
	size := parse(t, header).PacketSize
	for len(rest) >= size && !EndsAt(rest) {
		packets, rest = append(packets, rest[:size:size]), rest[size:]
	}
	return header, packets, rest
}

func TestFilesOfOtherMuxers(t *testing.T) {
	for _, s := range samples {
		t.Run(s.name, func(t *testing.T) {
			header, packets, rest := readSample(t, s.name)
			h := parse(t, header)
			if len(header) != s.header || h.Flags != s.flags || h.PacketSize != s.size || h.Stream(1).FourCC != s.codec {
				t.Errorf("%d bytes, flags %#x, size %d, %v", len(header), h.Flags, h.PacketSize, h.Streams)
			}
			if !bytes.HasPrefix(rest, s.behind[:]) || bytes.HasSuffix(rest, []byte{0x24, 0x45, 8, 0, 0, 0, 0, 0, 0, 0, 8, 0}) != s.trailing {
				t.Errorf("behind the packets: % x", rest)
			}
			if err := h.Validate(); err != nil {
				t.Error(err)
			}
			keys, last := 0, uint32(0)
			for i, p := range packets {
				k, err := ParsePacket(p, s.size, h.KeyStreams())
				if err != nil {
					t.Fatalf("packet %d: %v", i, err)
				}
				if TimeDiff(k.SendTime, last) < 0 {
					t.Errorf("packet %d: send time %d behind %d", i, k.SendTime, last)
				}
				if k.KeyStart {
					keys++
				}
				last = k.SendTime
			}
			if len(packets) != s.packets || keys != s.keys {
				t.Errorf("%d packets, %d with key frames", len(packets), keys)
			}
		})
	}
}

// What is stripped, padded, rebased or built again keeps its payloads, on the
// packets of other muxers too.
func TestFilesSurviveRewriting(t *testing.T) {
	for _, s := range samples {
		_, packets, _ := readSample(t, s.name)
		for i, original := range packets {
			want := contents(t, original, s.size)
			spec, err := DescribePacket(original, s.size)
			if err != nil || !bytes.Equal(build(t, spec), original) {
				t.Errorf("%s %d: built again it differs (%v)", s.name, i, err)
			}
			p := bytes.Clone(original)
			if err := Rebase(p, s.size, 1<<31); err != nil || Rebase(p, s.size, 1<<31) != nil || !bytes.Equal(p, original) {
				t.Errorf("%s %d: rebase %v", s.name, i, err)
			}
			p, err = Strip(p, s.size)
			if err != nil || !sameContents(want, contents(t, p, s.size)) {
				t.Errorf("%s %d: strip %v", s.name, i, err)
			}
			p, err = Pad(nil, p, s.size)
			if err != nil || len(p) != s.size || !sameContents(want, contents(t, p, s.size)) {
				t.Errorf("%s %d: pad to %d, %v", s.name, i, len(p), err)
			}
		}
	}
}

func TestFilesBecomeLive(t *testing.T) {
	for _, s := range samples {
		header, _, _ := readSample(t, s.name)
		h := parse(t, SetLive(header))
		if h.Flags != FlagBroadcast || len(h.Warnings()) != 0 {
			t.Errorf("%s: flags %#x, %q", s.name, h.Flags, h.Warnings())
		}
	}
}
