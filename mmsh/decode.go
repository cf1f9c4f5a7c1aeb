package mmsh

import "iter"

// Frame is an [Event] with its payload: Length bytes of the decoded slice.
type Frame struct {
	Event
	Payload []byte
}

// Decode walks the packets of a whole body in memory, without the order rules of a push. It yields every event but
// None; after an error, also one for a body that ends inside a packet, it stops. Payloads alias b.
func Decode(b []byte, framing Framing) iter.Seq2[Frame, error] {
	return DecodeAs(b, framing, Pull)
}

// DecodeAs is [Decode] with the rules of a role.
func DecodeAs(b []byte, framing Framing, role Role) iter.Seq2[Frame, error] {
	return func(yield func(Frame, error) bool) {
		d := NewDecoder(framing, role)
		for len(b) > 0 {
			frame, rest, err := d.decode(b)
			if err != nil {
				yield(Frame{}, err)
				return
			}
			b = rest
			if frame.Kind != None && !yield(frame, nil) {
				return
			}
		}
		if err := d.EndOfBody(0); err != nil {
			yield(Frame{}, err)
		}
	}
}

// decode fills one buffer from b and takes the payload behind it.
func (d *Decoder) decode(b []byte) (Frame, []byte, error) {
	n := copy(d.Buffer(), b)
	if n < len(d.Buffer()) {
		return Frame{}, nil, d.EndOfBody(n)
	}
	ev, err := d.Next()
	if err != nil {
		return Frame{}, nil, err
	}
	b = b[n:]
	if err := ev.Cut(len(b)); err != nil {
		return Frame{}, nil, err
	}
	taken := min(ev.Length, len(b))
	return Frame{Event: ev, Payload: b[:taken:taken]}, b[taken:], nil
}
