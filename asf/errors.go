package asf

import (
	"errors"
	"fmt"
)

// The kinds of fault. Every [*Error] unwraps to one of them, so that callers
// can tell them apart with errors.Is.
var (
	// ErrNotASF: the bytes do not begin with the expected object.
	ErrNotASF = errors.New("not an asf header")
	// ErrShort: fewer bytes than the structure needs.
	ErrShort = errors.New("truncated")
	// ErrHeaderSize: the Header Object's size is impossible, too big, or not
	// what was received.
	ErrHeaderSize = errors.New("bad header size")
	// ErrObjectSize: an object is smaller than its fixed part or bigger than
	// what its parent has left.
	ErrObjectSize = errors.New("bad object size")
	// ErrObjectCount: more objects than any real header has.
	ErrObjectCount = errors.New("too many objects")
	// ErrField: a length, a count or a number inside an object is impossible.
	ErrField = errors.New("bad field")
	// ErrMissing: an object without which the stream cannot be used is absent.
	ErrMissing = errors.New("missing object")
	// ErrDuplicate: something that may be declared once is declared again.
	ErrDuplicate = errors.New("duplicate object")
	// ErrPacketSize: packet sizes out of range or not equal, or a packet that
	// is longer than the header allows.
	ErrPacketSize = errors.New("bad packet size")
	// ErrPacket: a data packet contradicts itself.
	ErrPacket = errors.New("bad packet")
	// ErrNoRoom: a packet cannot be built or rewritten within its size or its
	// field widths.
	ErrNoRoom = errors.New("no room in packet")
)

// Error says which object broke which bound, and where. It is always used as
// a pointer; errors.As finds it, errors.Is finds its Kind.
type Error struct {
	Object string // name of the object or packet part, lower case
	Offset int    // bytes from the start of the input to the offending field
	Bound  int    // what the field was compared with, in the field's unit
	Value  uint64 // what the field said
	Reason string // what is wrong, lower case
	Kind   error  // one of the Err values of this package
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("asf: %s at offset %d: %s: %d, bound %d", e.Object, e.Offset, e.Reason, e.Value, e.Bound)
}

// Unwrap returns the kind of the fault.
func (e *Error) Unwrap() error { return e.Kind }
