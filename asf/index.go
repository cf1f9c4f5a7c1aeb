package asf

// IsStrayEnd says whether b begins with the end-of-stream packet that ffmpeg
// writes behind a plain ASF body, 24 45 08 00.
func IsStrayEnd(b []byte) bool {
	return len(b) >= 4 && b[0] == 0x24 && b[1] == 0x45 && b[2] == 0x08 && b[3] == 0x00
}

// IsIndex says whether b (16 bytes or more) begins with one of the index
// objects that may follow the data packets of a file [ASF 6].
func IsIndex(b []byte) bool {
	if len(b) < 16 {
		return false
	}
	switch guidAt(b, 0) {
	case GUIDSimpleIndex, GUIDIndex, GUIDMediaIndex, GUIDTimecodeIndex:
		return true
	}
	return false
}

// EndsAt says whether, at a packet boundary of a plain ASF body, b is no
// packet any more but an index object or a stray end: the stream is over. It
// wants 16 bytes; with fewer it can only tell the stray end (4 bytes).
func EndsAt(b []byte) bool { return IsStrayEnd(b) || IsIndex(b) }
