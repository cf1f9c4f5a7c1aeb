package asf

import (
	"encoding/binary"
	"strconv"
)

// stream reads Stream Properties [ASF 3.3]. A stream that is declared at top
// level and embedded keeps the top-level declaration.
func (p *headerParser) stream(o object, embedded bool) error {
	f := o.read(p.b)
	s := &Stream{Type: f.guid("stream type"), Embedded: embedded}
	f.guid("error correction type")
	f.u64("time offset")
	typeSize := f.u32("type-specific data length")
	ecSize := f.u32("error correction data length")
	flagsAt := f.at
	flags := f.u16("flags")
	f.u32("reserved")
	dataAt := f.at
	data := f.take("type-specific data length", uint64(typeSize))
	f.take("error correction data length", uint64(ecSize))
	s.Number, s.Encrypted = uint8(flags&0x7F), flags&0x8000 != 0
	if s.Number == 0 {
		f.refuse("stream number", flagsAt, 0, 1)
	}
	if f.err != nil {
		return f.err
	}
	switch s.Type {
	case GUIDAudio:
		s.Kind = Audio
		s.audio(fields{b: p.b, name: f.name, at: dataAt, end: dataAt + len(data)}, &f)
	case GUIDVideo:
		s.Kind = Video
		s.video(fields{b: p.b, name: f.name, at: dataAt, end: dataAt + len(data)}, &f)
	case GUIDCommand:
		s.Kind = Command
	}
	if f.err != nil {
		return f.err
	}
	return p.declare(s, flagsAt)
}

func (p *headerParser) declare(s *Stream, at int) error {
	old := p.streams[s.Number]
	if old != nil && old.Embedded == s.Embedded {
		return &Error{Object: "stream properties", Offset: at, Bound: 1, Value: uint64(s.Number),
			Reason: "stream declared again", Kind: ErrDuplicate}
	}
	if old == nil {
		p.declared++
	}
	if old == nil || old.Embedded {
		p.streams[s.Number] = s
	}
	return nil
}

// audio reads a WAVEFORMATEX [ASF 9.1].
func (s *Stream) audio(d fields, f *fields) {
	s.FormatTag = d.u16("format tag")
	s.Channels = d.u16("channels")
	s.SampleRate = d.u32("sample rate")
	s.ByteRate = d.u32("byte rate")
	s.BlockAlign = d.u16("block alignment")
	s.BitsPerSample = d.u16("bits per sample")
	d.take("codec-specific data size", uint64(d.u16("codec-specific data size")))
	f.err = d.err
}

// video reads the video media type and its BITMAPINFOHEADER [ASF 9.2].
func (s *Stream) video(d fields, f *fields) {
	s.Width = d.u32("image width")
	s.Height = d.u32("image height")
	d.u8("reserved")
	size := d.u16("format data size")
	at := d.at
	if format := d.take("format data size", uint64(size)); d.err == nil {
		if len(format) < 40 {
			d.refuse("format data size below its head", at-2, uint64(size), 40)
		} else {
			s.FourCC = fourCC(format[16:20])
		}
	}
	f.err = d.err
}

// extendedStream reads Extended Stream Properties [ASF 4.1] and the Stream
// Properties that may be embedded at their end.
func (p *headerParser) extendedStream(o object) error {
	f, x := o.read(p.b), &extended{}
	f.take("start and end time", 16)
	x.bitrate = f.u32("data bit rate")
	x.buffer = f.u32("buffer size")
	f.take("buffer model", 16)
	x.maxObject = f.u32("maximum object size")
	x.flags = f.u32("flags")
	at := f.at
	number := f.u16("stream number")
	f.u16("language index")
	x.frameTime = f.u64("average time per frame")
	names, systems := f.u16("stream name count"), f.u16("payload extension system count")
	for i := 0; i < int(names) && f.err == nil; i++ {
		f.u16("stream name language")
		if text := f.text("stream name length", uint64(f.u16("stream name length"))); i == 0 {
			x.name = text
		}
	}
	x.replicated = readSystems(&f, int(systems))
	if number == 0 || number > 127 {
		f.refuse("stream number", at, uint64(number), 127)
	}
	if f.err != nil {
		return f.err
	}
	p.extended[number] = x
	if f.end-f.at < objectHead || guidAt(p.b, f.at) != GUIDStreamProperties {
		return nil
	}
	return p.embedded(f.at, f.end)
}

// embedded reads the Stream Properties that fill an Extended Stream Properties
// object.
func (p *headerParser) embedded(at, end int) error {
	inner, err := objectAt(p.b, at, end)
	if err != nil {
		return err
	}
	return p.stream(inner, true)
}

// readSystems reads n payload extension systems and returns the length of
// replicated data they make, -1 when one of them varies.
func readSystems(f *fields, n int) int {
	size, varies := 8, false
	for i := 0; i < n && f.err == nil; i++ {
		f.guid("payload extension system")
		data := f.u16("payload extension data size")
		f.take("payload extension info length", uint64(f.u32("payload extension info length")))
		varies = varies || data == 0xFFFF
		size += int(data)
	}
	if varies || size > 255 {
		return -1
	}
	return size
}

// streamBitrates reads Stream Bitrate Properties [ASF 3.12].
func (p *headerParser) streamBitrates(o object) error {
	f := o.read(p.b)
	n := f.u16("record count")
	for range n {
		number := f.u16("stream number") & 0x7F
		rate := f.u32("average bit rate")
		if f.err != nil {
			return f.err
		}
		p.bitrates[number] = rate
	}
	return f.done()
}

// codecList reads the Codec List [ASF 3.5], whose text lengths count
// characters.
func (p *headerParser) codecList(o object) error {
	f := o.read(p.b)
	f.guid("reserved")
	n := f.u32("codec count")
	for i := uint32(0); i < n && f.err == nil; i++ {
		c := codec{kind: Other}
		switch f.u16("codec type") {
		case 1:
			c.kind = Video
		case 2:
			c.kind = Audio
		}
		c.name = f.take("codec name length", 2*uint64(f.u16("codec name length")))
		c.text = f.take("codec description length", 2*uint64(f.u16("codec description length")))
		c.info = f.take("codec information length", uint64(f.u16("codec information length")))
		if f.err == nil && len(p.codecs) < maxCodecs {
			p.codecs = append(p.codecs, c)
		}
	}
	return f.done()
}

// content reads the Content Description [ASF 3.10].
func (p *headerParser) content(o object) error {
	f := o.read(p.b)
	var sizes [5]uint16
	names := [5]string{"title length", "author length", "copyright length", "description length", "rating length"}
	for i := range sizes {
		sizes[i] = f.u16(names[i])
	}
	to := [5]*string{&p.h.Title, &p.h.Author, &p.h.Copyright, &p.h.Description, &p.h.Rating}
	for i := range sizes {
		*to[i] = f.text(names[i], uint64(sizes[i]))
	}
	return f.done()
}

// attributes reads the Extended Content Description [ASF 3.11].
func (p *headerParser) attributes(o object) error {
	f := o.read(p.b)
	n := f.u16("descriptor count")
	for i := 0; i < int(n) && f.err == nil; i++ {
		name := f.take("descriptor name length", uint64(f.u16("descriptor name length")))
		kind := f.u16("descriptor type")
		value := f.take("descriptor value length", uint64(f.u16("descriptor value length")))
		if f.err == nil && len(p.h.Attributes) < maxAttributes {
			p.h.Attributes = append(p.h.Attributes, Attribute{decodeText(name), attributeText(kind, value)})
		}
	}
	return f.done()
}

// attributeText renders a descriptor value; byte arrays are left out.
func attributeText(kind uint16, v []byte) string {
	switch {
	case kind == 0:
		return decodeText(v)
	case kind == 2 && len(v) >= 4:
		return strconv.FormatBool(binary.LittleEndian.Uint32(v) != 0)
	case kind == 3 && len(v) >= 4:
		return strconv.FormatUint(uint64(binary.LittleEndian.Uint32(v)), 10)
	case kind == 4 && len(v) >= 8:
		return strconv.FormatUint(binary.LittleEndian.Uint64(v), 10)
	case kind == 5 && len(v) >= 2:
		return strconv.FormatUint(uint64(binary.LittleEndian.Uint16(v)), 10)
	}
	return ""
}

// exclusion reads Bitrate and Advanced Mutual Exclusion [ASF 3.8, 4.2].
func (p *headerParser) exclusion(o object) error {
	f := o.read(p.b)
	f.guid("exclusion type")
	var set StreamSet
	for i, n := 0, int(f.u16("stream count")); i < n && f.err == nil; i++ {
		set.Add(uint8(f.u16("stream number") & 0x7F))
	}
	if f.err == nil {
		p.h.Exclusive = append(p.h.Exclusive, set)
	}
	return f.done()
}

// scripts reads the Script Command Object [ASF 3.6].
func (p *headerParser) scripts(o object) error {
	f := o.read(p.b)
	f.guid("reserved")
	commands, types := int(f.u16("command count")), int(f.u16("type count"))
	var names []string
	for i := 0; i < types && f.err == nil; i++ {
		if name := f.text("type name length", 2*uint64(f.u16("type name length"))); i < maxScripts {
			names = append(names, name)
		}
	}
	for i := 0; i < commands && f.err == nil; i++ {
		s := Script{Time: f.u32("presentation time")}
		if kind := int(f.u16("type index")); kind < len(names) {
			s.Type = names[kind]
		}
		s.Command = f.text("command name length", 2*uint64(f.u16("command name length")))
		if f.err == nil && len(p.h.Scripts) < maxScripts {
			p.h.Scripts = append(p.h.Scripts, s)
		}
	}
	return f.done()
}
