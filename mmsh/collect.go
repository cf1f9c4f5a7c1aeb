package mmsh

// collect begins n bytes of an ASF header: a $H, a fragment of one, or the inside of a push $C.
func (d *Decoder) collect(n int) (Event, error) {
	if d.frame.Type == TypeHeader && !d.collecting && !d.changing {
		if err := d.inOrder(0); err != nil {
			return Event{}, err
		}
	}
	held := len(d.header)
	if held+n > MaxHeaderBytes {
		return Event{}, d.errorf(ErrSize, "header of %d bytes or more, at most %d", held+n, MaxHeaderBytes)
	}
	if n == 0 {
		return Event{}, d.errorf(ErrSize, "$%c with an empty header", d.frame.Type)
	}
	if bound := d.headerBound(); n > bound {
		return Event{}, d.errorf(ErrSize, "$%c with a header of %d bytes, at most %d", d.frame.Type, n, bound)
	}
	if !d.collecting {
		d.first = d.ev.LocationID
	}
	d.header = append(d.header, make([]byte, n)...)
	d.await(atHeader, d.header[held:])
	return Event{}, nil
}

// headerBound is the most that one packet may hold of a header.
func (d *Decoder) headerBound() int {
	switch {
	case d.framing == PullFraming:
		return MaxPayload
	case d.frame.Type == TypeChange:
		return MaxPushChange
	}
	return MaxPushPayload
}

// headerPart has one filled part of a header.
func (d *Decoder) headerPart() (Event, error) {
	d.collecting = d.unfinished()
	if d.collecting {
		d.await(atHead, d.head[:FrameHeadSize])
		return Event{}, nil
	}
	d.ev.Header, d.header = d.header, nil
	d.ev.LocationID = d.first
	d.seen, d.changing, d.located = true, false, false
	if d.frame.Type == TypeChange {
		d.counters.Changes++
		d.ev.Kind = Change
		return d.finish(d.ev)
	}
	d.counters.Headers++
	d.ev.Kind = Header
	return d.finish(d.ev)
}

// unfinished reports whether further fragments must follow: the flags of [MS-WMSP] 2.2.3.1.2 begin one with 0x04 and
// end it with 0x08. A single packet with neither flag, as sloppy servers send it, is whole.
func (d *Decoder) unfinished() bool {
	if d.framing == PushFraming || d.ev.AFFlags&AFLast != 0 {
		return false
	}
	return d.collecting || d.ev.AFFlags&AFFirst != 0
}
