//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// rtmpOpening is the little of RTMP 1.0 that a viewer needs: the simple handshake, then
// connect, createStream and play, all said at once because the answers are known, then
// the server's chunks up to the first whole message of sound or picture that is not a
// decoder's configuration.
type rtmpOpening struct {
	play   []byte // what to say after the handshake
	heard  []byte
	shaken bool
	chunk  int                     // bytes of payload in a chunk, by the server's word
	open   map[uint32]*rtmpMessage // by chunk stream
	closed error
}

// rtmpMessage is a message that comes in chunks.
type rtmpMessage struct {
	length, got int
	kind        byte
	extended    bool   // its time stamp has four more bytes, in every chunk
	start       []byte // its first bytes
}

const (
	rtmpShake     = 1536 // bytes of C1, C2, S1, S2
	rtmpChunk     = 128  // until somebody says otherwise
	rtmpMaxChunk  = 64 << 10
	rtmpMaxMedia  = 1 << 20
	rtmpChannels  = 16
	rtmpKept      = 256
	rtmpOwnChunk  = 4096
	rtmpTimeLimit = 0xFFFFFF
)

// Message types.
const (
	rtmpSetChunk = 1
	rtmpAck      = 3
	rtmpSound    = 8
	rtmpPicture  = 9
	rtmpCommand  = 20
)

func newRTMP(address, app, stream string) *rtmpOpening {
	o := &rtmpOpening{chunk: rtmpChunk, open: map[uint32]*rtmpMessage{}}
	connect := amfNumber(amfString(nil, "connect"), 1)
	connect = append(connect, 3) // object
	for _, f := range [][2]string{{"app", app}, {"flashVer", "LNX 9,0,124,2"}, {"tcUrl", "rtmp://" + address + "/" + app}} {
		connect = amfString(amfKey(connect, f[0]), f[1])
	}
	connect = append(connect, 0, 0, 9)
	create := append(amfNumber(amfString(nil, "createStream"), 2), 5) // null
	play := amfString(append(amfNumber(amfString(nil, "play"), 0), 5), stream)
	o.play = rtmpPut(o.play, 2, rtmpSetChunk, 0, binary.BigEndian.AppendUint32(nil, rtmpOwnChunk))
	o.play = rtmpPut(o.play, 3, rtmpCommand, 0, connect)
	o.play = rtmpPut(o.play, 3, rtmpCommand, 0, create)
	o.play = rtmpPut(o.play, 8, rtmpCommand, 1, play)
	return o
}

// rtmpPut appends a message that fits into one chunk.
func rtmpPut(dst []byte, channel, kind byte, stream uint32, body []byte) []byte {
	dst = append(dst, channel, 0, 0, 0, byte(len(body)>>16), byte(len(body)>>8), byte(len(body)), kind)
	return append(binary.LittleEndian.AppendUint32(dst, stream), body...)
}

// rtmpAcknowledge reports how many bytes came.
func rtmpAcknowledge(total int64) []byte {
	return rtmpPut(nil, 2, rtmpAck, 0, binary.BigEndian.AppendUint32(nil, uint32(total)))
}

func amfKey(dst []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(s))), s...)
}

func amfString(dst []byte, s string) []byte { return amfKey(append(dst, 2), s) }

func amfNumber(dst []byte, n float64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, 0), math.Float64bits(n))
}

// hello is C0 and C1: the version, a time and zeros.
func (o *rtmpOpening) hello() []byte { return append([]byte{3}, make([]byte, rtmpShake)...) }

func (o *rtmpOpening) hear(b []byte) (say []byte, joined bool, err error) {
	if o.closed != nil {
		return nil, false, o.closed
	}
	o.heard = append(o.heard, b...)
	if !o.shaken {
		if len(o.heard) > 0 && o.heard[0] != 3 {
			return nil, false, o.fail(fmt.Errorf("RTMP version %d, want 3", o.heard[0]))
		}
		if len(o.heard) < 1+2*rtmpShake {
			return nil, false, nil
		}
		say = append(say, o.heard[1:1+rtmpShake]...) // C2 is S1
		say = append(say, o.play...)
		o.heard, o.shaken = o.heard[1+2*rtmpShake:], true
	}
	for !joined && err == nil {
		var n int
		if n, joined, err = o.next(); n == 0 {
			break
		}
		o.heard = o.heard[n:]
	}
	return say, joined, o.fail(err)
}

func (o *rtmpOpening) fail(err error) error {
	o.closed = err
	return err
}

var (
	errRTMPChannels = errors.New("too many RTMP chunk streams")
	errRTMPOrder    = errors.New("an RTMP chunk continues nothing")
	errRTMPSize     = errors.New("an RTMP message or chunk is too long")
)

// next takes one chunk from what was heard; n is 0 when it is not whole yet.
func (o *rtmpOpening) next() (n int, joined bool, err error) {
	b := o.heard
	format, channel, n := rtmpBasic(b)
	head := [4]int{11, 7, 3, 0}[format]
	if n == 0 || len(b) < n+head {
		return 0, false, nil
	}
	was, known := o.open[channel]
	if !known && (format != 0 || len(o.open) >= rtmpChannels) {
		if format != 0 {
			return 0, false, errRTMPOrder
		}
		return 0, false, errRTMPChannels
	}
	m := rtmpMessage{}
	if known {
		m = *was
	}
	rtmpHead(&m, format, b[n:n+head])
	if m.length > rtmpMaxMedia || format != 3 && m.got > 0 {
		return 0, false, errRTMPSize
	}
	if n += head; m.extended {
		n += 4
	}
	size := min(o.chunk, m.length-m.got)
	if len(b) < n+size {
		return 0, false, nil
	}
	m.start = append(m.start[:len(m.start):len(m.start)], b[n:n+min(size, rtmpKept-len(m.start))]...)
	m.got += size
	if m.got == m.length {
		joined, err = o.whole(m)
		m.got, m.start = 0, nil
	}
	o.open[channel] = &m
	return n + size, joined, err
}

// rtmpBasic reads a chunk's basic header, whose length is n, or 0 when it is not whole.
func rtmpBasic(b []byte) (format byte, channel uint32, n int) {
	if len(b) == 0 {
		return 0, 0, 0
	}
	format, channel = b[0]>>6, uint32(b[0]&0x3F)
	switch {
	case channel == 0 && len(b) >= 2:
		return format, 64 + uint32(b[1]), 2
	case channel == 1 && len(b) >= 3:
		return format, 64 + uint32(b[1]) + uint32(b[2])<<8, 3
	case channel >= 2:
		return format, channel, 1
	}
	return format, 0, 0
}

// rtmpHead reads a chunk's message header; what it leaves out is as before.
func rtmpHead(m *rtmpMessage, format byte, b []byte) {
	if format <= 2 {
		m.extended = uint32(b[0])<<16|uint32(b[1])<<8|uint32(b[2]) == rtmpTimeLimit
	}
	if format <= 1 {
		m.length, m.kind = int(b[3])<<16|int(b[4])<<8|int(b[5]), b[6]
	}
}

// whole looks at a message that has come.
func (o *rtmpOpening) whole(m rtmpMessage) (joined bool, err error) {
	switch m.kind {
	case rtmpSetChunk:
		if len(m.start) < 4 {
			return false, errRTMPSize
		}
		if size := binary.BigEndian.Uint32(m.start); size >= 1 && size <= rtmpMaxChunk {
			o.chunk = int(size)
			return false, nil
		}
		return false, errRTMPSize
	case rtmpCommand:
		for _, no := range []string{"_error", "NetStream.Play.StreamNotFound", "NetStream.Play.Failed"} {
			if bytes.Contains(m.start, []byte(no)) {
				return false, fmt.Errorf("refused: %s", no)
			}
		}
	case rtmpSound:
		return len(m.start) >= 2 && (m.start[0]>>4 != 10 || m.start[1] != 0), nil // 10 is AAC, 0 its configuration
	case rtmpPicture:
		return len(m.start) >= 2 && (m.start[0]&15 != 7 || m.start[1] != 0), nil // 7 is H.264, 0 its configuration
	}
	return false, nil
}
