package track

import (
	"fmt"

	"github.com/stream-pump/stream-pump/asf"
)

// audioFormats name the wave format tags that live ASF carries.
var audioFormats = map[uint16]string{
	0x0001: "PCM",
	0x0055: "MP3",
	0x00FF: "AAC",
	0x0160: "WMA1",
	0x0161: "WMA2",
	0x0162: "WMA Pro",
	0x0163: "WMA Lossless",
	0x000A: "WMA Voice",
	0x1610: "HE-AAC",
	0x2000: "AC-3",
}

// codecOf names what a stream is coded with, shortly; "" when the header does not say.
func codecOf(s asf.Stream) string {
	switch s.Kind {
	case asf.Video:
		return s.FourCC
	case asf.Audio:
		if name, ok := audioFormats[s.FormatTag]; ok {
			return name
		}
		return fmt.Sprintf("0x%04x", s.FormatTag)
	}
	return s.CodecName
}
