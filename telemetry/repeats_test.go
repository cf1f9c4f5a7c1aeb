package telemetry

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// sink takes what is logged, also from the timer's goroutine.
type sink struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

// lines returns what was logged, without times, and forgets it.
func lines(s *sink) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := strings.TrimSuffix(s.b.String(), "\n")
	s.b.Reset()
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

func repeats(b *sink, opts RepeatsOptions) *Repeats {
	return NewRepeats(slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
			return slog.Attr{}
		}
		if a.Value.Kind() == slog.KindTime {
			a.Value = slog.StringValue(a.Value.Time().UTC().Format("05.0"))
		}
		return a
	}})), opts)
}

func expect(t *testing.T, b *sink, want ...string) {
	t.Helper()
	if got := lines(b); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b sink
		r := repeats(&b, RepeatsOptions{})
		for i := range 5 {
			r.Log(slog.LevelWarn, "k", "bad packet", slog.Int("n", i))
			time.Sleep(100 * time.Millisecond)
		}
		r.Log(slog.LevelWarn, "other", "once")
		expect(t, &b, `msg="bad packet" n=0`, "msg=once")
		time.Sleep(600 * time.Millisecond)
		synctest.Wait()
		expect(t, &b, `msg="bad packet" n=4 count=4 first=00.1 last=00.4`)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		expect(t, &b)
		r.mu.Lock()
		if len(r.keys) != 0 || r.timer != nil {
			t.Errorf("%d keys remembered, timer %v", len(r.keys), r.timer)
		}
		r.mu.Unlock()
		r.Log(slog.LevelWarn, "k", "bad packet", slog.Int("n", 9))
		expect(t, &b, `msg="bad packet" n=9`)
		r.Close()
	})
}

// A flood of one key makes at most one line a second.
func TestRepeatsFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b sink
		r := repeats(&b, RepeatsOptions{})
		for range 10_000 {
			r.Log(slog.LevelWarn, "k", "flood")
			time.Sleep(time.Millisecond)
		}
		r.Close()
		if n := len(lines(&b)); n < 10 || n > 12 {
			t.Errorf("%d lines in 10 s", n)
		}
	})
}

func TestRepeatsClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b sink
		r := repeats(&b, RepeatsOptions{})
		for range 3 {
			r.Log(slog.LevelWarn, "k", "lost")
		}
		lines(&b)
		r.Close()
		expect(t, &b, "msg=lost count=2 first=00.0 last=00.0")
		r.Close()
		r.Log(slog.LevelWarn, "k", "late")
		r.Log(slog.LevelWarn, "k", "late")
		expect(t, &b, "msg=late", "msg=late")
		if len(r.keys) != 0 || r.timer != nil {
			t.Error("something is remembered after Close")
		}
	})
}

func TestRepeatsKeysAreBounded(t *testing.T) {
	now := time.Unix(0, 0)
	var b sink
	r := repeats(&b, RepeatsOptions{MaxKeys: 3, Every: time.Hour, Now: func() time.Time { return now }})
	defer r.Close()
	for i := range 1000 {
		r.Log(slog.LevelWarn, fmt.Sprint(i), "flood", slog.Int("i", i))
	}
	expect(t, &b, "msg=flood i=0", "msg=flood i=1", "msg=flood i=2", "msg=flood i=3")
	if len(r.keys) != 4 {
		t.Errorf("%d keys", len(r.keys))
	}
	now = now.Add(time.Second)
	r.Flush()
	expect(t, &b, "msg=flood i=999 count=996 first=00.0 last=00.0")
}

func TestRepeatsBelowLevel(t *testing.T) {
	var b sink
	r := repeats(&b, RepeatsOptions{})
	defer r.Close()
	r.Log(slog.LevelDebug, "k", "quiet")
	if len(r.keys) != 0 || lines(&b) != nil {
		t.Error("an event below the level was counted")
	}
}
