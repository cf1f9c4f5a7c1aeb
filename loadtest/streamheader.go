package loadtest

import (
	"fmt"

	"github.com/stream-pump/stream-pump/asf"
)

// streamHeader is what a viewer needs of an ASF header. One is shared by all viewers of a loop that got the same bytes.
type streamHeader struct {
	packetSize int // bytes
	key        asf.StreamSet
	anyPacket  bool // no stream has key frames: every packet is a start
}

const maxHeaders = 1024 // different headers a loop remembers

// header returns the parsed form of b, which is not kept.
func (t *tally) header(b []byte) (*streamHeader, error) {
	if h := t.headers[string(b)]; h != nil {
		return h, nil
	}
	p, err := asf.ParseHeader(b)
	if err != nil {
		return nil, fmt.Errorf("reading the ASF header: %w", err)
	}
	if p.PacketSize < asf.MinPacketSize || p.PacketSize > asf.MaxPacketSize {
		return nil, fmt.Errorf("reading the ASF header: packets of %d bytes", p.PacketSize)
	}
	h := &streamHeader{packetSize: p.PacketSize, key: p.KeyStreams()}
	h.anyPacket = h.key.Empty()
	if len(t.headers) < maxHeaders {
		t.headers[string(b)] = h
	}
	return h, nil
}

// starts says whether a whole packet is one to begin with.
func (h *streamHeader) starts(p []byte) (bool, error) {
	k, err := asf.ParsePacket(p, h.packetSize, h.key)
	if err != nil {
		return false, err
	}
	return h.anyPacket || k.KeyStart, nil
}
