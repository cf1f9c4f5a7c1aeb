package telemetry

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stream-pump/stream-pump/internal/worldtest"
)

// Of a thousand lines about one thing, the first is written at once and the rest as one line
// with their count; lines about other things are not held back.
func TestFolding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b worldtest.Log
		log, repeats := Folding(slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: withoutTimes})), RepeatsOptions{Every: 10 * time.Second})
		defer repeats.Close()
		stream := log.With(slog.String("stream", "a"))
		for i := range 1000 {
			stream.Warn("source lost", slog.Any("reason", fmt.Errorf("port %d: reset", i)), slog.Int("packets", i))
		}
		stream.Warn("source lost", slog.Any("reason", errors.New("time-out")))
		log.With(slog.String("stream", "b")).Warn("source lost", slog.Any("reason", errors.New("reset")))
		stream.WithGroup("more").With(slog.Int("x", 1)).Info("grouped", slog.Int("y", 2))
		for range 2 {
			stream.WithGroup("more").Debug("every viewer", slog.Int("z", 3))
		}
		want := `level=WARN msg="source lost" stream=a reason="port 0: reset" packets=0
level=WARN msg="source lost" stream=a reason=time-out
level=WARN msg="source lost" stream=b reason=reset
level=INFO msg=grouped stream=a more.x=1 more.y=2
level=DEBUG msg="every viewer" stream=a more.z=3
level=DEBUG msg="every viewer" stream=a more.z=3
`
		if got := b.String(); got != want {
			t.Errorf("at once:\n%s\nwant\n%s", got, want)
		}
		b.Reset()
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if got, want := b.String(), "level=WARN msg=\"source lost\" stream=a reason=\"port 999: reset\" packets=999 count=999\n"; got != want {
			t.Errorf("later:\n%s\nwant\n%s", got, want)
		}
		b.Reset()
		time.Sleep(time.Minute)
		stream.Warn("source lost", slog.Any("reason", errors.New("port 7: reset")))
		stream.Warn("source lost", slog.Any("reason", errors.New("port 7: reset")))
		repeats.Close()
		if got := strings.Count(b.String(), "\n"); got != 2 {
			t.Errorf("the end holds lines back: %q", b.String())
		}
	})
}

// withoutTimes leaves out what differs from run to run.
func withoutTimes(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == "first" || a.Key == "last") {
		return slog.Attr{}
	}
	return a
}

// What goes on for days comes at longer and longer intervals, with its count; once it has been
// silent for the longest one, it is news again.
func TestRepeatsThatGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b worldtest.Log
		r := NewRepeats(slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: withoutTimes})), RepeatsOptions{Every: 10 * time.Second, Longest: 10 * time.Minute})
		defer r.Close()
		for range 2 * 60 * 24 { // a day of attempts, 30 s apart
			r.Log(slog.LevelWarn, "key", "source not available")
			time.Sleep(30 * time.Second)
		}
		synctest.Wait() // nobody writes
		lines := strings.Count(b.String(), "\n")
		if lines < 100 || lines > 160 {
			t.Errorf("a day is %d lines", lines)
		}
		if !strings.HasPrefix(b.String(), "level=WARN msg=\"source not available\"\nlevel=WARN msg=\"source not available\"\n") {
			t.Errorf("it does not begin with single lines:\n%s", b.String())
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		b.Reset()
		r.Log(slog.LevelWarn, "key", "source not available")
		if got := strings.Count(b.String(), "\n"); got != 1 || strings.Contains(b.String(), "count") {
			t.Errorf("after an hour of silence: %q", b.String())
		}
	})
}
