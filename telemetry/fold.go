package telemetry

import (
	"context"
	"log/slog"
	"slices"
	"strings"
)

// foldBy are the attributes that tell two events of one message apart. Others, such as an
// address or a number, would make every line a new one.
var foldBy = []string{"source", "reason", "error", "message", "warning", "from", "to"}

// Folding returns a log that folds what repeats, for events that somebody outside can cause: of
// lines with the same message about the same thing, the first is written at once, and those that
// follow within the interval become one line with their count. Lines below Info are for people
// who look for one event, and pass as they are. Close what is returned with it at the end, which
// writes what is still counted.
func Folding(log *slog.Logger, o RepeatsOptions) (*slog.Logger, *Repeats) {
	r := NewRepeats(log, o)
	return slog.New(folding{repeats: r, inner: log.Handler()}), r
}

// folding is a slog.Handler that gives every record to Repeats.
type folding struct {
	repeats *Repeats
	inner   slog.Handler // with the attributes and groups
	attrs   []slog.Attr  // of With, outside of groups
	groups  []string     // that are open
}

// Enabled implements slog.Handler.
func (f folding) Enabled(ctx context.Context, level slog.Level) bool {
	return f.inner.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (f folding) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelInfo {
		return f.inner.Handle(ctx, r)
	}
	own := make([]slog.Attr, 0, r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		own = append(own, a)
		return true
	})
	attrs := append(f.attrs[:len(f.attrs):len(f.attrs)], f.grouped(own)...)
	f.repeats.Log(r.Level, foldKey(r.Message, attrs), r.Message, attrs...)
	return nil
}

// WithAttrs implements slog.Handler.
func (f folding) WithAttrs(attrs []slog.Attr) slog.Handler {
	f.inner = f.inner.WithAttrs(attrs)
	f.attrs = append(f.attrs[:len(f.attrs):len(f.attrs)], f.grouped(attrs)...)
	return f
}

// WithGroup implements slog.Handler.
func (f folding) WithGroup(name string) slog.Handler {
	if name != "" {
		f.inner = f.inner.WithGroup(name)
		f.groups = append(f.groups[:len(f.groups):len(f.groups)], name)
	}
	return f
}

// grouped puts attributes into the groups that are open.
func (f folding) grouped(attrs []slog.Attr) []slog.Attr {
	for _, name := range slices.Backward(f.groups) {
		attrs = []slog.Attr{{Key: name, Value: slog.GroupValue(attrs...)}}
	}
	return attrs
}

func foldKey(msg string, attrs []slog.Attr) string {
	var b strings.Builder
	b.WriteString(msg)
	for _, a := range attrs {
		if a.Key == "stream" { // may differ by its number only
			b.WriteString("\x00" + a.Value.String())
		} else if slices.Contains(foldBy, a.Key) {
			b.WriteString("\x00" + a.Key + "\x00" + withoutNumbers(a.Value.Resolve().String()))
		}
	}
	return b.String()
}

// withoutNumbers takes out what differs between two errors of one kind: ports, counts, places.
func withoutNumbers(s string) string {
	return strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' {
			return -1
		}
		return c
	}, s)
}
