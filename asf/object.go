package asf

import "encoding/binary"

// objectHead is what every object begins with: GUID and 64-bit size.
const objectHead = 24

// maxObjects bounds the objects of one header on all levels together.
const maxObjects = 1024

// object is one object found inside a header, its size already checked
// against its parent.
type object struct {
	id   GUID
	at   int // bytes from the start of the header
	size int // bytes, object head included
}

// walkObjects calls visit for each object in b[from:end]. It stops at the
// parent's end and ignores announced object counts, which are often wrong.
// budget is what is left of maxObjects.
func walkObjects(b []byte, from, end int, budget *int, visit func(object) error) error {
	for at := from; at < end; {
		o, err := objectAt(b, at, end)
		if err != nil {
			return err
		}
		if *budget--; *budget < 0 {
			return &Error{Object: o.id.Name(), Offset: at, Bound: maxObjects, Value: maxObjects + 1,
				Reason: "number of objects", Kind: ErrObjectCount}
		}
		if err := visit(o); err != nil {
			return err
		}
		at += o.size
	}
	return nil
}

// objectAt reads the object head at b[at:], which must end at or before end.
func objectAt(b []byte, at, end int) (object, error) {
	rest := end - at
	if rest < objectHead {
		return object{}, &Error{Object: "object head", Offset: at, Bound: objectHead, Value: uint64(rest),
			Reason: "bytes left in parent", Kind: ErrObjectSize}
	}
	id := guidAt(b, at)
	size := binary.LittleEndian.Uint64(b[at+16:])
	if size < objectHead {
		return object{}, &Error{Object: id.Name(), Offset: at + 16, Bound: objectHead, Value: size,
			Reason: "object size below its head", Kind: ErrObjectSize}
	}
	if size > uint64(rest) {
		return object{}, &Error{Object: id.Name(), Offset: at + 16, Bound: rest, Value: size,
			Reason: "object size beyond its parent", Kind: ErrObjectSize}
	}
	return object{id: id, at: at, size: int(size)}, nil
}

// fields reads the fields of one object in order. The first read beyond the
// object's end is kept as err; every later read yields zero.
type fields struct {
	b    []byte // the whole header
	name string
	at   int // next byte to read
	end  int // end of the object
	err  *Error
}

// read begins after the object's head.
func (o object) read(b []byte) fields {
	return fields{b: b, name: o.id.Name(), at: o.at + objectHead, end: o.at + o.size}
}

// refuse keeps the first fault.
func (f *fields) refuse(what string, at int, value uint64, bound int) {
	if f.err == nil {
		f.err = &Error{Object: f.name, Offset: at, Bound: bound, Value: value, Reason: what, Kind: ErrField}
	}
}

// take returns the next n bytes, or nil when the object has fewer.
func (f *fields) take(what string, n uint64) []byte {
	if f.err != nil {
		return nil
	}
	if rest := f.end - f.at; n > uint64(rest) {
		f.refuse(what, f.at, n, rest)
		return nil
	}
	p := f.b[f.at : f.at+int(n)]
	f.at += int(n)
	return p
}

func (f *fields) u8(what string) uint8 {
	if p := f.take(what, 1); p != nil {
		return p[0]
	}
	return 0
}

func (f *fields) u16(what string) uint16 {
	if p := f.take(what, 2); p != nil {
		return binary.LittleEndian.Uint16(p)
	}
	return 0
}

func (f *fields) u32(what string) uint32 {
	if p := f.take(what, 4); p != nil {
		return binary.LittleEndian.Uint32(p)
	}
	return 0
}

func (f *fields) u64(what string) uint64 {
	if p := f.take(what, 8); p != nil {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}

func (f *fields) guid(what string) GUID {
	if p := f.take(what, 16); p != nil {
		return GUID(p)
	}
	return GUID{}
}

// text reads n bytes of UTF-16.
func (f *fields) text(what string, n uint64) string { return decodeText(f.take(what, n)) }

// done returns the fault as an error, nil when there was none.
func (f *fields) done() error {
	if f.err == nil {
		return nil
	}
	return f.err
}
