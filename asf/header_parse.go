package asf

import (
	"encoding/binary"
	"time"
)

// Bounds of what a Header keeps of lists that are only for people to read, so
// that a hostile header cannot make it much larger than its bytes.
const (
	maxAttributes = 64
	maxScripts    = 64
	maxCodecs     = 128
)

// headerParser fills a Header object by object.
type headerParser struct {
	b      []byte
	h      *Header
	budget int // objects left of maxObjects

	seenFile, seenExtension bool

	declared int          // streams
	streams  [128]*Stream // by number
	extended [128]*extended
	bitrates [128]uint32
	codecs   []codec
}

// extended is what Extended Stream Properties add to a stream.
type extended struct {
	bitrate, buffer, maxObject, flags uint32
	frameTime                         uint64
	name                              string
	replicated                        int
}

// codec is one entry of the Codec List.
type codec struct {
	kind             StreamKind
	name, text, info []byte // as in the header
	used             bool
}

func (p *headerParser) topLevel(o object) error {
	switch o.id {
	case GUIDFileProperties:
		return p.file(o)
	case GUIDHeaderExtension:
		return p.extension(o)
	case GUIDStreamProperties:
		return p.stream(o, false)
	case GUIDStreamBitrates:
		return p.streamBitrates(o)
	case GUIDCodecList:
		return p.codecList(o)
	case GUIDContentDescription:
		return p.content(o)
	case GUIDExtContentDescription:
		return p.attributes(o)
	case GUIDBitrateExclusion, GUIDAdvancedExclusion:
		return p.exclusion(o)
	case GUIDScriptCommand:
		return p.scripts(o)
	case GUIDContentEncryption, GUIDExtContentEncryption, GUIDAdvContentEncryption:
		p.h.Encrypted = true
	}
	return nil
}

func (p *headerParser) inExtension(o object) error {
	switch o.id {
	case GUIDExtStreamProperties:
		return p.extendedStream(o)
	case GUIDAdvancedExclusion:
		return p.exclusion(o)
	case GUIDAdvContentEncryption:
		p.h.Encrypted = true
	}
	return nil
}

// file reads File Properties [ASF 3.2].
func (p *headerParser) file(o object) error {
	if p.seenFile {
		return &Error{Object: "file properties", Offset: o.at, Bound: 1, Value: 2,
			Reason: "number of objects", Kind: ErrDuplicate}
	}
	p.seenFile = true
	if o.size < fileProperties {
		return &Error{Object: "file properties", Offset: o.at + 16, Bound: fileProperties, Value: uint64(o.size),
			Reason: "object size", Kind: ErrObjectSize}
	}
	h, f := p.h, o.read(p.b)
	h.FileID = f.guid("file id")
	h.FileSize = f.u64("file size")
	h.Created = fileTime(f.u64("creation date"))
	h.Packets = f.u64("packets")
	h.PlayDuration = f.u64("play duration")
	h.SendDuration = f.u64("send duration")
	h.Preroll = f.u64("preroll")
	h.Flags = f.u32("flags")
	h.MinPacketSize = f.u32("minimum packet size")
	h.MaxPacketSize = f.u32("maximum packet size")
	h.MaxBitrate = f.u32("maximum bit rate")
	h.announcedBitrate = h.MaxBitrate
	h.PacketSize = int(h.MaxPacketSize)
	if err := checkPacketSize(h.MinPacketSize, o.at+92); err != nil {
		return err
	}
	return checkPacketSize(h.MaxPacketSize, o.at+96)
}

func checkPacketSize(size uint32, at int) error {
	switch {
	case size < MinPacketSize:
		return &Error{Object: "file properties", Offset: at, Bound: MinPacketSize, Value: uint64(size),
			Reason: "packet size too small", Kind: ErrPacketSize}
	case size > MaxPacketSize:
		return &Error{Object: "file properties", Offset: at, Bound: MaxPacketSize, Value: uint64(size),
			Reason: "packet size too big", Kind: ErrPacketSize}
	}
	return nil
}

// fileTime converts 100 ns since 1601 to a time; 0 is no time at all.
func fileTime(v uint64) time.Time {
	if v == 0 {
		return time.Time{}
	}
	const second, epoch = 10_000_000, 11_644_473_600
	return time.Unix(int64(v/second)-epoch, int64(v%second)*100).UTC()
}

// extension walks the objects inside the Header Extension [ASF 3.4].
func (p *headerParser) extension(o object) error {
	if p.seenExtension {
		return &Error{Object: "header extension", Offset: o.at, Bound: 1, Value: 2,
			Reason: "number of objects", Kind: ErrDuplicate}
	}
	p.seenExtension = true
	f := o.read(p.b)
	f.guid("reserved field 1")
	f.u16("reserved field 2")
	size := f.u32("data size")
	from := f.at
	f.take("data size", uint64(size))
	if f.err != nil {
		return f.err
	}
	return walkObjects(p.b, from, f.at, &p.budget, p.inExtension)
}

// finish joins what the objects said about each stream.
func (p *headerParser) finish() {
	p.h.Streams = make([]Stream, 0, p.declared)
	for n := range p.streams {
		s := p.streams[n]
		if s == nil {
			continue
		}
		s.BitrateBPS = p.bitrates[n]
		if x := p.extended[n]; x != nil {
			x.apply(s)
		}
		p.nameCodec(s)
		p.h.Encrypted = p.h.Encrypted || s.Encrypted
		p.h.Streams = append(p.h.Streams, *s)
	}
	if p.h.MaxBitrate == 0 {
		p.h.MaxBitrate = p.h.StreamsBitrate()
	}
}

func (x *extended) apply(s *Stream) {
	if s.BitrateBPS == 0 {
		s.BitrateBPS = x.bitrate
	}
	s.BufferMS, s.MaxObjectSize, s.FrameTime = x.buffer, x.maxObject, x.frameTime
	s.NoCleanPoints = x.flags&4 != 0
	s.ResendCleanPoints = x.flags&8 != 0
	s.Name, s.Replicated = x.name, x.replicated
}

// nameCodec gives the stream the first unused codec entry that carries its
// format, else the first unused one of its kind.
func (p *headerParser) nameCodec(s *Stream) {
	best := -1
	for i, c := range p.codecs {
		if c.used || c.kind != s.Kind {
			continue
		}
		if c.matches(s) {
			best = i
			break
		}
		if best < 0 {
			best = i
		}
	}
	if best >= 0 {
		c := &p.codecs[best]
		c.used = true
		s.CodecName, s.CodecInfo = decodeText(c.name), decodeText(c.text)
	}
}

func (c codec) matches(s *Stream) bool {
	if c.kind == Video {
		return len(c.info) == 4 && fourCC(c.info) == s.FourCC
	}
	return len(c.info) == 2 && binary.LittleEndian.Uint16(c.info) == s.FormatTag
}
