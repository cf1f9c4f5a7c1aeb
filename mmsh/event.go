package mmsh

import (
	"fmt"
	"io"
)

// EventKind is what a [Decoder] found.
type EventKind uint8

// Kinds of events.
const (
	None   EventKind = iota // nothing yet: fill the next buffer
	Header                  // the whole ASF header is there
	Packet                  // an ASF data packet begins: its bytes are the caller's to read
	Change                  // a new header: inside the event (push), or in the Header event that follows (pull)
	End                     // end of the stream or, with Reason 1, of the entry
	Skip                    // bytes without meaning for a stream: the caller passes over them
)

var kindNames = [...]string{"none", "header", "packet", "change", "end", "skip"}

// String names the kind.
func (k EventKind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("event %d", uint8(k))
}

// Event is one finding of a [Decoder]. Whatever its kind, the next Length bytes of the body are the caller's to take:
// the packet of a Packet event, bytes without meaning otherwise.
type Event struct {
	Kind        EventKind
	Type        byte   // the packet's type
	B           bool   // first byte was 0xA4
	HasLocation bool   // LocationID and AFFlags were on the wire
	AFFlags     uint8  // of the last fragment for a Header event
	LocationID  uint32 // of the first fragment for a Header event
	Reason      uint32 // of Change and End
	Length      int    // bytes of the body that the caller must take now
	Header      []byte // ASF header of Header, and of a push Change; the caller's to keep
	long        bool   // $E with more than a Reason
}

// EntryEnd reports whether an End event means that the stream goes on with a $C. A $E longer than 8 bytes never does:
// FFmpeg, ffserver and VLC put a sequence number where the Reason belongs.
func (e Event) EntryEnd() bool {
	return e.Kind == End && e.Reason == ReasonEntryEnd && !e.long
}

// Cut judges a body that ended after got of the event's Length bytes: nil when they were all there or when filler was
// cut, else an error that wraps [io.ErrUnexpectedEOF].
func (e Event) Cut(got int) error {
	if got >= e.Length || e.Type == TypeFiller {
		return nil
	}
	return fmt.Errorf("body ends %d bytes into a $%c of %d: %w", got, e.Type, e.Length, io.ErrUnexpectedEOF)
}

// Counters of what a [Decoder] met, since it was made.
type Counters struct {
	Headers, Packets, Changes, Ends uint64
	Metadata, Pairs, Tests, Fillers uint64
	Unknown                         uint64 // packets of a type that is not defined, passed over
	SkippedBytes                    uint64 // payload bytes passed over
	BBits                           uint64 // packets that began with 0xA4
	Gaps, Missing                   uint64 // jumps forward of LocationId, and packets that they skipped
	Backward                        uint64 // LocationId that repeated or went back
	Resyncs, ResyncBytes            uint64 // searches for a packet after $P, and bytes they passed over
}
