package pump

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/telemetry"
)

// A pump that cannot become the user of run_as reads nothing from outside: it asks no
// source, and whoever has connected is not heard.
func TestNothingIsReadBeforeTheUserIsChanged(t *testing.T) {
	source, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = source.Close() }()
	journal := &worldtest.Log{}
	log, err := telemetry.NewLogger(journal, "text", slog.LevelDebug)
	if err != nil {
		t.Fatal(err)
	}
	cfg := parse(t, local+"run_as: {user: no-such-user}\nstreams: [{path: far, type: mmsh_pull, source_options: {url: 'http://"+source.Addr().String()+"/'}}]\n")
	_, err = Start(cfg, Options{Log: log})
	if err == nil || !strings.Contains(err.Error(), `run_as.user: this machine has no user "no-such-user"`) {
		t.Fatalf("got %v", err)
	}
	_ = source.(*net.TCPListener).SetDeadline(time.Now().Add(50 * time.Millisecond))
	if c, err := source.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the source was asked: %v, %v", c, err)
	}
	if strings.Contains(journal.String(), "listening") {
		t.Errorf("it accepted:\n%s", journal)
	}
}
