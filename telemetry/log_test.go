package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

func TestLoggerFormats(t *testing.T) {
	for _, c := range []struct {
		format string
		json   bool
	}{{"auto", true}, {"", true}, {"json", true}, {"text", false}} {
		var b bytes.Buffer
		log, err := NewLogger(&b, c.format, slog.LevelInfo)
		if err != nil {
			t.Fatal(err)
		}
		log.Debug("unseen")
		log.Info("seen", "n", 1)
		if got := json.Valid(b.Bytes()); got != c.json || !strings.Contains(b.String(), "seen") || strings.Contains(b.String(), "unseen") {
			t.Errorf("%q: %s", c.format, &b)
		}
	}
	if _, err := NewLogger(io.Discard, "xml", slog.LevelInfo); err == nil {
		t.Error("format xml is accepted")
	}
}

func TestLogFlags(t *testing.T) {
	for _, c := range []struct {
		args []string
		want LogOptions
		bad  bool
	}{
		{nil, LogOptions{Format: "text", Level: "error"}, false},
		{[]string{"-log-level", "debug"}, LogOptions{Format: "text", Level: "debug"}, false},
		{[]string{"-log-format=json", "-log-level=WARN"}, LogOptions{Format: "json", Level: "WARN"}, false},
		{[]string{"-log-format=xml"}, LogOptions{}, true},
		{[]string{"-log-level=loud"}, LogOptions{}, true},
	} {
		fs := flag.NewFlagSet("", flag.ContinueOnError)
		fs.SetOutput(io.Discard)
		o := LogFlags(fs)
		if err := fs.Parse(c.args); (err != nil) != c.bad {
			t.Errorf("%v: %v", c.args, err)
		}
		if c.bad {
			continue
		}
		if got := o.Or(LogOptions{Format: "text", Level: "error"}); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.args, got, c.want)
		}
		if _, err := o.Logger(io.Discard); err != nil {
			t.Errorf("%v: %v", c.args, err)
		}
	}
	if _, err := (LogOptions{Level: "loud"}).Logger(io.Discard); err == nil {
		t.Error("level loud is accepted")
	}
}

// Whatever way a secret takes into a record, it does not come out.
func TestLoggerHidesSecrets(t *testing.T) {
	u, _ := url.Parse("http://u:topsecret@h/x?token=topsecret")
	for _, format := range []string{"text", "json"} {
		var b bytes.Buffer
		log, err := NewLogger(&b, format, slog.LevelDebug)
		if err != nil {
			t.Fatal(err)
		}
		log.With("source", u.String()).WithGroup("g").Info("pulling "+u.String(),
			"url", u, "err", &url.Error{Op: "Get", URL: u.String(), Err: errors.New("refused")},
			"password", "topsecret", "api_token", "topsecret", "Authorization", "Basic topsecret",
			"address", netip.MustParseAddr("192.0.2.1"), "session", "seen-session", slog.Group("in", "url", u.String()))
		if s := b.String(); strings.Contains(s, "topsecret") || !strings.Contains(s, "192.0.2.1") || !strings.Contains(s, "seen-session") {
			t.Errorf("%s", s)
		}
	}
}
