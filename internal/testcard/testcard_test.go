package testcard

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
	"time"
)

var (
	headerGUID = []byte{0x30, 0x26, 0xB2, 0x75, 0x8E, 0x66, 0xCF, 0x11, 0xA6, 0xD9, 0x00, 0xAA, 0x00, 0x62, 0xCE, 0x6C}
	filePropID = []byte{0xA1, 0xDC, 0xAB, 0x8C, 0x47, 0xA9, 0xCF, 0x11, 0x8E, 0xE4, 0x00, 0xC0, 0x0C, 0x20, 0x53, 0x65}
	dataGUID   = []byte{0x36, 0x26, 0xB2, 0x75, 0x8E, 0x66, 0xCF, 0x11, 0xA6, 0xD9, 0x00, 0xAA, 0x00, 0x62, 0xCE, 0x6C}
)

// The card is part of every binary: it has to stay small.
func TestCardIsSmall(t *testing.T) {
	if got := len(ASF); got >= 1<<20 {
		t.Fatalf("the card has %d bytes, the limit is 1 MiB", got)
	}
}

// The fields are those of [ASF 3.2]: play duration and preroll give the length of a round.
func TestHeaderAgreesWithConstants(t *testing.T) {
	if !bytes.HasPrefix(ASF, headerGUID) {
		t.Fatalf("the file begins with % x, not with the ASF header object", ASF[:16])
	}
	at := bytes.Index(ASF, filePropID)
	if at < 0 {
		t.Fatal("no file properties object")
	}
	props := ASF[at : at+104]
	played := time.Duration(binary.LittleEndian.Uint64(props[64:])) * 100
	preroll := time.Duration(binary.LittleEndian.Uint64(props[80:])) * time.Millisecond
	if got := played - preroll; got != Duration {
		t.Errorf("one round takes %v, Duration is %v", got, Duration)
	}
	for name, off := range map[string]int{"minimum": 92, "maximum": 96} {
		if got := binary.LittleEndian.Uint32(props[off:]); got != PacketSize {
			t.Errorf("%s packet size %d, PacketSize is %d", name, got, PacketSize)
		}
	}
}

func TestPacketsAreAllThereAndOftenEnough(t *testing.T) {
	at := int(binary.LittleEndian.Uint64(ASF[16:]))
	if !bytes.Equal(ASF[at:at+16], dataGUID) {
		t.Fatal("the data object does not follow the header object")
	}
	packets := int(binary.LittleEndian.Uint64(ASF[at+40:]))
	if room := len(ASF) - at - 50; packets*PacketSize > room {
		t.Fatalf("%d packets are announced, there is room for %d", packets, room/PacketSize)
	}
	if perSecond := packets / int(Duration/time.Second); perSecond < 10 {
		t.Errorf("%d packets a second, too few for a smooth pace", perSecond)
	}
}

func TestPlayersSeeBothStreams(t *testing.T) {
	probe, err := exec.LookPath("ffprobe")
	if err != nil {
		const missing = "ffprobe is not installed (scripts/install-test-deps installs it)"
		if os.Getenv("CI") != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	cmd := exec.CommandContext(t.Context(), probe, "-v", "error", "-count_packets", "-of", "json",
		"-show_entries", "stream=codec_name,nb_read_packets", "-i", "pipe:0")
	cmd.Stdin = bytes.NewReader(ASF)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ffprobe: %v", err)
	}
	var seen struct {
		Streams []struct {
			Codec   string `json:"codec_name"`
			Packets string `json:"nb_read_packets"`
		}
	}
	if err := json.Unmarshal(out, &seen); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"wmv2": "200", "wmav2": "125"}
	for _, s := range seen.Streams {
		if want[s.Codec] != s.Packets {
			t.Errorf("%s has %s packets, want %s", s.Codec, s.Packets, want[s.Codec])
		}
		delete(want, s.Codec)
	}
	for codec := range want {
		t.Errorf("no %s stream", codec)
	}
}
