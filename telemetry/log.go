package telemetry

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"golang.org/x/term"
)

// Log formats.
const (
	FormatAuto = "auto" // text on a terminal, JSON elsewhere
	FormatText = "text"
	FormatJSON = "json"
)

// LogOptions are the two settings of a program's log. Empty fields mean "auto"
// and "info".
type LogOptions struct {
	Format string // auto, text or json
	Level  string // debug, info, warn or error
}

// LogFlags registers -log-format and -log-level in fs. After fs.Parse the
// returned options hold what was given; a field is empty when its flag was not.
func LogFlags(fs *flag.FlagSet) *LogOptions {
	o := new(LogOptions)
	fs.Func("log-format", "log as `FORMAT`: auto, text or json (default auto: text on a terminal)", func(s string) error {
		if err := checkFormat(s); err != nil {
			return err
		}
		o.Format = s
		return nil
	})
	fs.Func("log-level", "log from `LEVEL` up: debug, info, warn or error (default info)", func(s string) error {
		if _, err := ParseLevel(s); err != nil {
			return err
		}
		o.Level = s
		return nil
	})
	return o
}

// Or returns o with its empty fields taken from other.
func (o LogOptions) Or(other LogOptions) LogOptions {
	if o.Format == "" {
		o.Format = other.Format
	}
	if o.Level == "" {
		o.Level = other.Level
	}
	return o
}

// Logger makes the logger o describes, writing to w.
func (o LogOptions) Logger(w io.Writer) (*slog.Logger, error) {
	level, err := ParseLevel(o.Level)
	if err != nil {
		return nil, err
	}
	return NewLogger(w, o.Format, level)
}

// NewLogger returns a logger that writes records from level up to w in the given
// format: "text", "json", or "auto" (also ""), which is text when w is a
// terminal. A *[slog.LevelVar] as level can be changed while the program runs.
// Secrets are taken out of messages and attributes.
func NewLogger(w io.Writer, format string, level slog.Leveler) (*slog.Logger, error) {
	if err := checkFormat(format); err != nil {
		return nil, err
	}
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: redactAttr}
	if format == FormatText || (format != FormatJSON && isTerminal(w)) {
		return slog.New(slog.NewTextHandler(w, opts)), nil
	}
	return slog.New(slog.NewJSONHandler(w, opts)), nil
}

// ParseLevel returns the level named s in any case: debug, info, warn (warning)
// or error. The empty string is info.
func ParseLevel(s string) (slog.Level, error) {
	switch strings.ToLower(s) {
	case "debug":
		return slog.LevelDebug, nil
	case "", "info":
		return slog.LevelInfo, nil
	case "warn", "warning":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("log level %q is unknown (debug, info, warn or error)", s)
}

func checkFormat(s string) error {
	switch s {
	case "", FormatAuto, FormatText, FormatJSON:
		return nil
	}
	return fmt.Errorf("log format %q is unknown (auto, text or json)", s)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// redactAttr is the handler's ReplaceAttr: the last gate a secret meets.
func redactAttr(_ []string, a slog.Attr) slog.Attr {
	if secretName(a.Key, secretAttrs) && a.Value.Kind() == slog.KindString {
		a.Value = slog.StringValue(hidden)
		return a
	}
	switch a.Value.Kind() {
	case slog.KindString:
		if s := a.Value.String(); strings.Contains(s, "://") {
			a.Value = slog.StringValue(RedactText(s))
		}
	case slog.KindAny:
		switch v := a.Value.Any().(type) {
		case error:
			a.Value = slog.StringValue(RedactText(v.Error()))
		case fmt.Stringer:
			a.Value = slog.StringValue(RedactText(v.String()))
		}
	}
	return a
}
