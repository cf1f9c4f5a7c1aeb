package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
)

// line is a pump's connection to the house over HTTP.
type line struct {
	client *http.Client
	house  string
	pump   *pump
	token  string
}

// hello begins a session.
func (l *line) hello(ctx context.Context) error {
	var w fleet.Welcome
	err := l.post(ctx, fleet.PathHello, fleet.Hello{Pump: l.pump.id, Boot: l.pump.boot, Program: "simulated", Clock: time.Now()}, &w)
	l.token = w.Session
	return err
}

func (l *line) post(ctx context.Context, path string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, l.house+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header["Idempotency-Key"] = nil // told twice is told once: it may go again when a connection turns out to be closed
	a, err := l.do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	return json.NewDecoder(io.LimitReader(a.Body, fleet.MaxBody)).Decode(answer)
}

func (l *line) do(r *http.Request) (*http.Response, error) {
	if l.token == "" {
		r.SetBasicAuth(l.pump.id, pumpKey)
	} else {
		r.Header.Set("Authorization", "Bearer "+l.token)
	}
	a, err := l.client.Do(r)
	if err != nil {
		return nil, err
	}
	if a.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(a.Body, 500)) // only shown
		_ = a.Body.Close()
		return nil, fmt.Errorf("%s: answer %d: %s", r.URL.Path, a.StatusCode, strings.TrimSpace(string(text)))
	}
	return a, nil
}

// send is [pump.send] over the line.
func (l *line) send(ctx context.Context) func(*fleet.Batch) (fleet.Receipt, error) {
	return func(b *fleet.Batch) (r fleet.Receipt, err error) {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		err = l.post(ctx, fleet.PathTelemetry, b, &r)
		return r, err
	}
}

// listen holds the event stream, and calls configured for each configuration, until ctx is done.
func (l *line) listen(ctx context.Context, open func(), configured func(*fleet.Config)) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, l.house+fleet.PathEvents, nil)
	if err != nil {
		return err
	}
	a, err := l.do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	open()
	for m := fleet.NewMessageReader(a.Body); ; {
		e, err := m.Next()
		if err != nil {
			return err
		}
		if e.Event != fleet.EventConfig {
			continue
		}
		var c fleet.Config
		if err := json.Unmarshal(e.Data, &c); err != nil {
			return fmt.Errorf("a configuration: %w", err)
		}
		if err := c.Check(l.pump.id); err != nil {
			return err
		}
		l.pump.mu.Lock()
		l.pump.config = c.Digest
		l.pump.mu.Unlock()
		configured(&c)
	}
}
