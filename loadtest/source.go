package loadtest

import (
	"math/rand/v2"
	"time"

	"github.com/stream-pump/stream-pump/asf"
)

const (
	videoStream = 1
	audioStream = 2
	audioEvery  = 4 // one packet in so many is sound
)

// material makes the header and the stamped packets of a synthetic stream. It belongs to one goroutine.
type material struct {
	spec     PushOptions
	header   []byte
	interval float64 // ns between packets
	source   uint32
	number   uint64 // of the next packet
	keyDone  int64  // key-frame periods begun
	object   [3]uint32
	payload  []byte
}

func newMaterial(o PushOptions) *material {
	return &material{
		spec: o, header: syntheticHeader(o), source: rand.Uint32(), keyDone: -1,
		interval: float64(o.Packet) * 8 * float64(time.Second) / float64(o.Rate),
		payload:  make([]byte, o.Packet-stampAt),
	}
}

func syntheticHeader(o PushOptions) []byte {
	audio := asf.StreamSpec{Number: audioStream, Kind: asf.Audio, FormatTag: 0x161, Channels: 2, SampleRate: 44100,
		ByteRate: 8000, BlockAlign: 2230, BitsPerSample: 16, CodecData: make([]byte, 10), BitrateBPS: uint32(o.Rate / audioEvery)}
	video := asf.StreamSpec{Number: videoStream, Kind: asf.Video, FourCC: "WMV3", Width: 640, Height: 360,
		CodecData: []byte{0x4E, 0xD1, 0x1A, 0x01}, BitrateBPS: uint32(o.Rate - o.Rate/audioEvery)}
	streams := []asf.StreamSpec{video, audio}
	if o.AudioOnly {
		audio.BitrateBPS = uint32(o.Rate)
		streams = []asf.StreamSpec{audio}
	}
	return asf.BuildHeader(asf.HeaderSpec{
		FileID: asf.GUID{'l', 'o', 'a', 'd', 't', 'e', 's', 't'}, Flags: asf.FlagBroadcast, Preroll: 2000,
		PacketSize: o.Packet, MaxBitrate: uint32(o.Rate), Streams: streams, Title: "Synthetic stream",
	})
}

// due is when a slot of the schedule is to be published, in ns behind its start.
func (m *material) due(slot int64) int64 { return int64(float64(slot) * m.interval) }

// appendPacket appends the packet of a slot. at is the time it is due by the shared clock.
func (m *material) appendPacket(dst []byte, slot, at int64) ([]byte, error) {
	since := m.due(slot)
	stream, key := m.kind(slot, since)
	stamp{host: hostMark, source: m.source, number: m.number, published: at, key: key}.put(m.payload)
	seal(m.payload)
	ms := uint32(since / int64(time.Millisecond))
	out, err := asf.AppendPacket(dst, asf.PacketSpec{
		SendTime: ms, Duration: uint16(min(m.interval/float64(time.Millisecond), 65535)), Size: m.spec.Packet,
		Payloads: []asf.PayloadSpec{{Stream: stream, Key: key, Object: m.object[stream],
			ObjectSize: uint32(len(m.payload)), PresTime: ms + 2000, Data: m.payload}},
	})
	if err != nil {
		return dst, err
	}
	m.object[stream]++
	m.number++
	return out, nil
}

// kind is the stream of a slot and whether a key frame starts in it: the first packet of each key interval.
func (m *material) kind(slot, since int64) (stream uint8, key bool) {
	if m.spec.AudioOnly {
		return audioStream, true
	}
	if period := since / int64(m.spec.KeyInterval); period != m.keyDone {
		m.keyDone = period
		return videoStream, true
	}
	if slot%audioEvery == audioEvery-1 {
		return audioStream, false
	}
	return videoStream, false
}
