package loadtest

import (
	"encoding/binary"
	"hash/crc32"
)

// A stamp stands at the beginning of the payload of every synthetic packet, little-endian:
//
//	0  magic      8 bytes
//	8  host       u32  boot of the machine whose clock it is
//	12 source     u32  one run of one source
//	16 number     u64  packets of that source, from 0
//	24 published  i64  ns, when the packet was due by the source's schedule
//	32 flags      u32  bit 0: a key frame starts here
//	36 checksum   u32  CRC-32C of the 36 bytes before it
//
// What follows up to the end of the payload is a piece of a fixed pattern, another piece for each packet, so that the
// viewers can compare every byte, which costs them a fifth of a checksum. The ASF packet's own head in front of the
// stamp may be rewritten by servers (send times), so it is not covered.
const (
	stampSize = 40
	sumAt     = 36

	// stampAt is where the payload begins in a synthetic packet: error correction 3, flags 2, send time and
	// duration 6, payload head 7, replicated data 8.
	stampAt  = 26
	stampEnd = stampAt + stampSize
)

const flagKey = 1

// maxNumber is far beyond any run: a stamp with more is none.
const maxNumber = 1 << 56

var stampMagic = [8]byte{'S', 'P', 'l', 'o', 'a', 'd', 0xD7, '1'}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type stamp struct {
	host, source uint32
	number       uint64
	published    int64 // ns
	key          bool
	sum          uint32
}

// put writes the stamp, without its checksum, into b[:stampSize].
func (s stamp) put(b []byte) {
	copy(b, stampMagic[:])
	binary.LittleEndian.PutUint32(b[8:], s.host)
	binary.LittleEndian.PutUint32(b[12:], s.source)
	binary.LittleEndian.PutUint64(b[16:], s.number)
	binary.LittleEndian.PutUint64(b[24:], uint64(s.published))
	var flags uint32
	if s.key {
		flags = flagKey
	}
	binary.LittleEndian.PutUint32(b[32:], flags)
}

// seal writes the checksum of a stamp, and the pattern behind it.
func seal(payload []byte) {
	binary.LittleEndian.PutUint32(payload[sumAt:], sumOfStamp(payload))
	copy(payload[stampSize:], patternOf(binary.LittleEndian.Uint64(payload[16:])))
}

func sumOfStamp(b []byte) uint32 { return crc32.Update(0, castagnoli, b[:sumAt]) }

const (
	patternTurns = 1 << 12 // pieces, each begins a byte further on
	patternStep  = 61      // from packet to packet
)

var pattern = makePattern()

// makePattern is the same in every process: xorshift from a fixed seed.
func makePattern() []byte {
	b := make([]byte, patternTurns+1<<16)
	x := uint32(0x9E3779B9)
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x >> 11)
	}
	return b
}

// patternOf is what stands behind the stamp of a packet.
func patternOf(number uint64) []byte { return pattern[number*patternStep%patternTurns:] }

// readStamp reads b[:stampSize]; false when no stamp is there.
func readStamp(b []byte) (stamp, bool) {
	if len(b) < stampSize || [8]byte(b) != stampMagic {
		return stamp{}, false
	}
	if binary.LittleEndian.Uint64(b[16:]) > maxNumber {
		return stamp{}, false
	}
	return stamp{
		host: binary.LittleEndian.Uint32(b[8:]), source: binary.LittleEndian.Uint32(b[12:]),
		number: binary.LittleEndian.Uint64(b[16:]), published: int64(binary.LittleEndian.Uint64(b[24:])),
		key: b[32]&flagKey != 0, sum: binary.LittleEndian.Uint32(b[sumAt:]),
	}, true
}
