package tool

import (
	"fmt"
	"io"
	"strings"
)

// WriteText prints a report for people.
func (r ProbeReport) WriteText(w io.Writer) error {
	t := &text{w: w}
	t.line("address", r.URL)
	t.line("server", r.Server)
	t.line("features", r.Features)
	t.line("title", r.Title)
	t.line("author", r.Author)
	for _, s := range r.Tracks {
		t.line(fmt.Sprintf("stream %d", s.Number), trackText(s.Kind, s.Codec, s.Width, s.Height, s.Channels, s.SampleRate, s.BitrateBPS))
	}
	t.line("bit rate", fmt.Sprintf("%s announced, %s measured", kbit(r.AnnouncedBPS), kbit(r.MeasuredBPS)))
	t.line("packets", fmt.Sprintf("%d of at most %d bytes in %.1f s, preroll %d ms", r.Packets, r.PacketSize, r.WatchedS, r.PrerollMS))
	t.line("join", fmt.Sprintf("%d ms to the first packet%s", r.JoinMS, also(r.BeginsWithKeyFrame, ", a key frame", ", not a key frame")))
	t.line("key frames", keyText(r))
	t.line("gaps", fmt.Sprintf("%d, %d packets missing, %d unreadable, %d jumps of time", r.Gaps, r.MissingPackets, r.BadPackets, r.TimeJumps))
	if r.Pace > 0 {
		t.line("pace", fmt.Sprintf("%.2f × real time", r.Pace))
	}
	if r.Changes > 0 {
		t.line("changes", fmt.Sprintf("%d of the header", r.Changes))
	}
	if r.Ended {
		t.line("end", "the stream ended while it was watched")
	}
	for _, s := range r.Warnings {
		t.line("warning", s)
	}
	return t.err
}

// text writes lines of a name and a value until one fails.
type text struct {
	w   io.Writer
	err error
}

func (t *text) line(name, value string) {
	if value != "" && t.err == nil {
		_, t.err = fmt.Fprintf(t.w, "%-11s %s\n", name, value)
	}
}

func trackText(kind, codec string, width, height uint32, channels uint16, hz, bps uint32) string {
	words := []string{kind}
	if codec != "" {
		words = append(words, codec)
	}
	if width > 0 {
		words = append(words, fmt.Sprintf("%d×%d", width, height))
	}
	if hz > 0 {
		words = append(words, fmt.Sprintf("%d Hz, %d ch", hz, channels))
	}
	if bps > 0 {
		words = append(words, kbit(int64(bps)))
	}
	return strings.Join(words, " ")
}

func keyText(r ProbeReport) string {
	if r.KeyFrames < 2 {
		return fmt.Sprintf("%d seen", r.KeyFrames)
	}
	return fmt.Sprintf("%d, every %.2f s, at most %.2f s apart", r.KeyFrames, float64(r.KeyFrameIntervalMS)/1000, float64(r.KeyFrameMaxMS)/1000)
}

func kbit(bps int64) string {
	if bps <= 0 {
		return "unknown"
	}
	return fmt.Sprintf("%.0f kbit/s", float64(bps)/1000)
}

func also(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}
