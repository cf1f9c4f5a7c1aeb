package agentx

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Kinds of messages (RFC 2741, 6.1).
const (
	typeOpen       = 1
	typeClose      = 2
	typeRegister   = 3
	typeGet        = 5
	typeGetNext    = 6
	typeGetBulk    = 7
	typeTestSet    = 8
	typeCommitSet  = 9
	typeUndoSet    = 10
	typeCleanupSet = 11
	typePing       = 13
	typeResponse   = 18
)

// Flags of a message.
const (
	flagContext      = 0x08 // another context than the default one is named
	flagNetworkOrder = 0x10 // numbers are big-endian, else little-endian
)

const (
	version    = 1
	headerSize = 20
	maxPayload = 64 << 10 // bytes; more is never needed and not believed
)

// header stands in front of each message (RFC 2741, 6.1):
//
//	version 1 | type 1 | flags 1 | reserved 1 | session 4 | transaction 4 | packet 4 | payload length 4
type header struct {
	kind, flags                  byte
	session, transaction, packet uint32
	payload                      int // bytes that follow, a multiple of 4
}

func (h header) order() binary.ByteOrder {
	if h.flags&flagNetworkOrder != 0 {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// parseHeader reads the first headerSize bytes of a message.
func parseHeader(b []byte) (header, error) {
	if len(b) < headerSize {
		return header{}, errShort
	}
	if b[0] != version {
		return header{}, fmt.Errorf("a message of version %d, not %d", b[0], version)
	}
	h := header{kind: b[1], flags: b[2]}
	o := h.order()
	h.session, h.transaction, h.packet = o.Uint32(b[4:]), o.Uint32(b[8:]), o.Uint32(b[12:])
	n := o.Uint32(b[16:])
	if n > maxPayload || n%4 != 0 {
		return header{}, fmt.Errorf("a message of %d bytes; it has to be a multiple of 4 up to %d", n, maxPayload)
	}
	h.payload = int(n)
	return h, nil
}

var errShort = errors.New("a message ends too early")

// reader takes a payload apart. After the first error everything it reads is zero.
type reader struct {
	b     []byte
	order binary.ByteOrder
	err   error
}

func (r *reader) take(n int) []byte {
	if r.err != nil || n < 0 || n > len(r.b) {
		if r.err == nil {
			r.err = errShort
		}
		return make([]byte, min(max(n, 0), 4))
	}
	part := r.b[:n]
	r.b = r.b[n:]
	return part
}

func (r *reader) uint32() uint32 { return r.order.Uint32(r.take(4)) }
func (r *reader) more() bool     { return r.err == nil && len(r.b) > 0 }

// octets reads an octet string (RFC 2741, 5.3): length, bytes, padding.
func (r *reader) octets() []byte {
	n := r.uint32()
	if n > maxPayload {
		r.err = errShort
		return nil
	}
	b := r.take(int(n))
	r.take(int(-n & 3))
	if r.err != nil {
		return nil
	}
	return b
}

// oid reads an object identifier (RFC 2741, 5.1): count, prefix, include, reserved, numbers.
func (r *reader) oid() (oid OID, include bool) {
	head := r.take(4)
	count, prefix := int(head[0]), head[1]
	if prefix != 0 {
		oid = append(oid, internet...)
		oid = append(oid, uint32(prefix))
	}
	if len(oid)+count > maxSubIDs && r.err == nil {
		r.err = errOID
	}
	for i := 0; i < count && r.err == nil; i++ {
		oid = append(oid, r.uint32())
	}
	if r.err != nil {
		return nil, false
	}
	return oid, head[2] != 0
}

// writer puts a message together, in network byte order.
type writer struct{ b []byte }

func newWriter(kind byte, session, transaction, packet uint32) *writer {
	w := &writer{b: make([]byte, headerSize, 512)}
	w.b[0], w.b[1], w.b[2] = version, kind, flagNetworkOrder
	binary.BigEndian.PutUint32(w.b[4:], session)
	binary.BigEndian.PutUint32(w.b[8:], transaction)
	binary.BigEndian.PutUint32(w.b[12:], packet)
	return w
}

// message returns the whole message.
func (w *writer) message() []byte {
	binary.BigEndian.PutUint32(w.b[16:], uint32(len(w.b)-headerSize))
	return w.b
}

func (w *writer) bytes(b ...byte) { w.b = append(w.b, b...) }
func (w *writer) uint16(n uint16) { w.b = binary.BigEndian.AppendUint16(w.b, n) }
func (w *writer) uint32(n uint32) { w.b = binary.BigEndian.AppendUint32(w.b, n) }
func (w *writer) uint64(n uint64) { w.b = binary.BigEndian.AppendUint64(w.b, n) }

func (w *writer) octets(s string) {
	w.uint32(uint32(len(s)))
	w.b = append(w.b, s...)
	w.b = append(w.b, make([]byte, -len(s)&3)...)
}

func (w *writer) oid(o OID) {
	prefix := byte(0)
	if len(o) > len(internet) && o.HasPrefix(internet) && o[len(internet)] > 0 && o[len(internet)] <= 255 {
		prefix = byte(o[len(internet)])
		o = o[len(internet)+1:]
	}
	w.bytes(byte(len(o)), prefix, 0, 0)
	for _, n := range o {
		w.uint32(n)
	}
}
