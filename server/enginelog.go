package server

import (
	"context"
	"fmt"
	"log/slog"
)

// engineLog passes what gnet logs on, one level lower than gnet thinks of it: a broken
// connection is an everyday event here.
type engineLog struct{ log *slog.Logger }

func (e engineLog) say(level slog.Level, format string, args []any) {
	e.log.Log(context.Background(), level, "event loop", "message", fmt.Sprintf(format, args...))
}

// Debugf drops: it and the others implement gnet's logging.Logger.
func (e engineLog) Debugf(string, ...any) {}

// Infof drops what is of no interest to an operator.
func (e engineLog) Infof(string, ...any) {}

// Warnf logs for people who debug.
func (e engineLog) Warnf(format string, args ...any) { e.say(slog.LevelDebug, format, args) }

// Errorf logs a warning.
func (e engineLog) Errorf(format string, args ...any) { e.say(slog.LevelWarn, format, args) }

// Fatalf logs an error; the process goes on.
func (e engineLog) Fatalf(format string, args ...any) { e.say(slog.LevelError, format, args) }
