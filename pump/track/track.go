// Package track describes the elementary streams of an ASF header for people and for
// programs: what the admin API and the probe print of them.
package track

import "github.com/stream-pump/stream-pump/asf"

// Info is one elementary stream.
type Info struct {
	Number     uint8  `json:"number"`
	Kind       string `json:"kind"` // audio, video, command or other
	Codec      string `json:"codec"`
	BitrateBPS uint32 `json:"bitrate_bps"` // announced; 0 unknown
	Width      uint32 `json:"width,omitempty"`
	Height     uint32 `json:"height,omitempty"`
	Channels   uint16 `json:"channels,omitempty"`
	SampleRate uint32 `json:"sample_rate,omitempty"` // Hz
}

// Describe returns the streams of a header in order of their numbers.
func Describe(h *asf.Header) []Info {
	list := make([]Info, 0, len(h.Streams))
	for _, s := range h.Streams {
		list = append(list, Info{
			Number: s.Number, Kind: s.Kind.String(), Codec: codecOf(s), BitrateBPS: s.BitrateBPS,
			Width: s.Width, Height: s.Height, Channels: s.Channels, SampleRate: s.SampleRate,
		})
	}
	return list
}
