package asf

import "encoding/binary"

func (b *headerBuilder) streams() {
	for i := range b.spec.Streams {
		if s := &b.spec.Streams[i]; !s.Embedded {
			b.stream(s)
		}
	}
}

// stream writes Stream Properties.
func (b *headerBuilder) stream(s *StreamSpec) {
	at := b.begin(GUIDStreamProperties)
	kind, correction := s.typeGUID()
	data, spread := s.typeData(), s.spread()
	b.raw(kind[:])
	b.raw(correction[:])
	b.u64(0)
	b.u32(uint32(len(data)), uint32(len(spread)))
	flags := uint16(s.Number & 0x7F)
	if s.Encrypted {
		flags |= 0x8000
	}
	b.u16(flags)
	b.u32(s.Reserved)
	b.raw(data)
	b.raw(spread)
	b.end(at)
}

func (s *StreamSpec) typeGUID() (kind, correction GUID) {
	switch s.Kind {
	case Audio:
		return GUIDAudio, GUIDAudioSpread
	case Video:
		return GUIDVideo, GUIDNoCorrection
	case Command:
		return GUIDCommand, GUIDNoCorrection
	}
	return GUID{}, GUIDNoCorrection
}

// spread is the error correction data of an audio stream: a span of one, that
// is none [ASF 9.4].
func (s *StreamSpec) spread() []byte {
	if s.Kind != Audio {
		return nil
	}
	out := []byte{1}
	out = binary.LittleEndian.AppendUint16(out, s.BlockAlign)
	out = binary.LittleEndian.AppendUint16(out, s.BlockAlign)
	return append(out, 1, 0, 0)
}

// typeData is the WAVEFORMATEX or the video media type of the stream.
func (s *StreamSpec) typeData() []byte {
	var w headerBuilder
	switch s.Kind {
	case Audio:
		w.u16(s.FormatTag, s.Channels)
		w.u32(s.SampleRate, s.ByteRate)
		w.u16(s.BlockAlign, s.BitsPerSample, uint16(len(s.CodecData)))
	case Video:
		w.u32(s.Width, s.Height)
		w.raw([]byte{2})
		w.u16(uint16(40 + len(s.CodecData)))
		w.u32(uint32(40+len(s.CodecData)), s.Width, s.Height)
		w.u16(1, 24)
		var code [4]byte
		copy(code[:], s.FourCC)
		w.raw(code[:])
		w.u32(s.Width*s.Height*3, 0, 0, 0, 0)
	default:
		return nil
	}
	w.raw(s.CodecData)
	return w.out
}

func (b *headerBuilder) bitrates() {
	var records headerBuilder
	n := uint16(0)
	for _, s := range b.spec.Streams {
		if s.BitrateBPS != 0 {
			records.u16(uint16(s.Number))
			records.u32(s.BitrateBPS)
			n++
		}
	}
	if n == 0 {
		return
	}
	at := b.begin(GUIDStreamBitrates)
	b.u16(n)
	b.raw(records.out)
	b.end(at)
}

func (b *headerBuilder) codecList() {
	var entries headerBuilder
	n := uint32(0)
	for i := range b.spec.Streams {
		if s := &b.spec.Streams[i]; s.CodecName != "" {
			entries.codecEntry(s)
			n++
		}
	}
	if n == 0 {
		return
	}
	at := b.begin(GUIDCodecList)
	b.raw(guidCodecListReserve[:])
	b.u32(n)
	b.raw(entries.out)
	b.end(at)
}

func (b *headerBuilder) codecEntry(s *StreamSpec) {
	kind, info := uint16(0xFFFF), []byte(nil)
	switch s.Kind {
	case Video:
		kind, info = 1, []byte(s.FourCC)
	case Audio:
		kind, info = 2, binary.LittleEndian.AppendUint16(nil, s.FormatTag)
	}
	b.u16(kind)
	b.counted(s.CodecName, 2)
	b.counted(s.CodecInfo, 2)
	b.u16(uint16(len(info)))
	b.raw(info)
}

func (b *headerBuilder) content() {
	s := b.spec
	texts := [5]string{s.Title, s.Author, s.Copyright, s.Description, s.Rating}
	if texts == [5]string{} {
		return
	}
	at := b.begin(GUIDContentDescription)
	var body []byte
	for _, t := range texts {
		before := len(body)
		body = appendText(body, t)
		b.u16(uint16(len(body) - before))
	}
	b.raw(body)
	b.end(at)
}

func (b *headerBuilder) attributes() {
	if len(b.spec.Attributes) == 0 {
		return
	}
	at := b.begin(GUIDExtContentDescription)
	b.u16(uint16(len(b.spec.Attributes)))
	for _, a := range b.spec.Attributes {
		b.counted(a.Name, 1)
		b.u16(0)
		b.counted(a.Value, 1)
	}
	b.end(at)
}

func (b *headerBuilder) exclusion() {
	if len(b.spec.Exclusive) == 0 {
		return
	}
	at := b.begin(GUIDBitrateExclusion)
	b.raw(GUIDMutexBitrate[:])
	b.u16(uint16(len(b.spec.Exclusive)))
	for _, n := range b.spec.Exclusive {
		b.u16(uint16(n))
	}
	b.end(at)
}

// scripts writes one type per command, which is legal and simple.
func (b *headerBuilder) scripts() {
	n := uint16(len(b.spec.Scripts))
	if n == 0 {
		return
	}
	at := b.begin(GUIDScriptCommand)
	b.raw(guidScriptCommandReserve[:])
	b.u16(n, n)
	for _, s := range b.spec.Scripts {
		b.script(s.Type)
	}
	for i, s := range b.spec.Scripts {
		b.u32(s.Time)
		b.u16(uint16(i))
		b.script(s.Command)
	}
	b.end(at)
}

// script writes a text behind its count of characters, without a final zero,
// as this object wants it.
func (b *headerBuilder) script(s string) {
	text := appendText(nil, s)
	text = text[:len(text)-2]
	b.u16(uint16(len(text) / 2))
	b.raw(text)
}
