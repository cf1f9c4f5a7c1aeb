package acme

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap/zapcore"
)

// bridge is certmagic's log, written to ours. It tells every step; what an operator wants
// to know is told at the level it deserves, in our words, and the steps are for debugging.
type bridge struct {
	log      *slog.Logger
	answered func(status int, header http.Header) // told of every answer of the authority; may be nil
}

// retold are messages of the library that are told otherwise.
var retold = map[string]zapcore.Entry{
	"will retry":                            {Level: zapcore.ErrorLevel, Message: "no certificate from the authority; it is tried again"},
	"job failed":                            {Level: zapcore.ErrorLevel, Message: "no certificate from the authority; the old one stays, and it is tried again"}, // a renewal
	"certificate obtained successfully":     {Level: zapcore.InfoLevel, Message: "certificate issued"},
	"certificate renewed successfully":      {Level: zapcore.InfoLevel, Message: "certificate renewed"},
	"could not get certificate from issuer": {Level: zapcore.DebugLevel}, // "will retry" says why
	"HTTP request failed; retrying":         {Level: zapcore.DebugLevel}, // the same
	"tls-alpn challenge":                    {Level: zapcore.DebugLevel}, // anybody can cause it
}

// retell changes an entry as an operator wants it.
func retell(e zapcore.Entry) zapcore.Entry {
	switch other, ok := retold[e.Message]; {
	case ok:
		e.Level = other.Level
		if other.Message != "" {
			e.Message = other.Message
			return e
		}
	case e.Level == zapcore.InfoLevel:
		e.Level = zapcore.DebugLevel
	}
	e.Message = "acme: " + e.Message
	return e
}

// answerMessage is how the library's log tells of an answer; nowhere else does it give away what the authority says of
// when to come again.
const answerMessage = "http request"

// Enabled implements zapcore.Core.
func (b bridge) Enabled(l zapcore.Level) bool { return b.answered != nil || b.shown(l) }

func (b bridge) shown(l zapcore.Level) bool { return b.log.Enabled(context.Background(), levelOf(l)) }

// With implements zapcore.Core.
func (b bridge) With(fields []zapcore.Field) zapcore.Core {
	return bridge{b.log.With(attrs(fields)...), b.answered}
}

// Check implements zapcore.Core.
func (b bridge) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if b.shown(retell(e).Level) || b.answered != nil && e.Message == answerMessage {
		return c.AddCore(e, b)
	}
	return c
}

// Write implements zapcore.Core.
func (b bridge) Write(e zapcore.Entry, fields []zapcore.Field) error {
	if e.Message == answerMessage {
		b.tellAnswer(fields)
	}
	e = retell(e)
	for _, f := range fields {
		if err, ok := f.Interface.(error); ok && (errors.Is(err, context.Canceled) || strings.Contains(err.Error(), acme.ProblemTypeRateLimited)) {
			e.Level = zapcore.DebugLevel // the program ends, or it is told already
		}
	}
	b.log.Log(context.Background(), levelOf(e.Level), e.Message, attrs(fields)...)
	return nil
}

func (b bridge) tellAnswer(fields []zapcore.Field) {
	if b.answered == nil {
		return
	}
	status, header := 0, http.Header(nil)
	for _, f := range fields {
		switch f.Key {
		case "status_code":
			status = int(f.Integer)
		case "response_headers":
			header, _ = f.Interface.(http.Header)
		}
	}
	b.answered(status, header)
}

// Sync implements zapcore.Core.
func (b bridge) Sync() error { return nil }

func levelOf(l zapcore.Level) slog.Level {
	switch {
	case l < zapcore.InfoLevel:
		return slog.LevelDebug
	case l < zapcore.WarnLevel:
		return slog.LevelInfo
	case l < zapcore.ErrorLevel:
		return slog.LevelWarn
	}
	return slog.LevelError
}

// attrs are fields as slog has them, in their order.
func attrs(fields []zapcore.Field) []any {
	list := make([]any, 0, len(fields))
	for _, f := range fields {
		enc := zapcore.NewMapObjectEncoder()
		f.AddTo(enc)
		for key, value := range enc.Fields {
			if d, ok := value.(time.Duration); ok {
				value = d.Round(time.Millisecond).String() // JSON would have nanoseconds
			}
			list = append(list, slog.Any(key, value))
		}
	}
	return list
}
