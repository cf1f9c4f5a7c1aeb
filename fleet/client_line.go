package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// line is what comes on the event stream of one session.
type line struct {
	configs  chan Config // the newest one that is not in force
	commands chan Command
}

// maxCommands bounds the commands that wait to be done.
const maxCommands = 256

func newLine() *line {
	return &line{configs: make(chan Config, 1), commands: make(chan Command, maxCommands)}
}

// listen holds the event stream open and hands out what comes.
func (c *Client) listen(ctx context.Context, s *session, l *line) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := 2 * time.Duration(s.welcome.SilenceMS) * time.Millisecond
	watch := time.AfterFunc(silence, func() { cancel(errSilent) })
	defer watch.Stop()
	q := url.Values{"digest": {c.opts.Side.Report().Config}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.at+PathEvents+"?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Accept-Encoding", "identity") // a packer in between would hold it back
	bearer(s.welcome.Session)(r)
	resp, err := c.send(r)
	if err == nil {
		defer resp.Body.Close()
		m := NewMessageReader(resp.Body)
		m.Heard = func() { watch.Reset(silence) }
		err = c.read(m, l)
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// read hands out events until the stream ends.
func (c *Client) read(m *MessageReader, l *line) error {
	for {
		msg, err := m.Next()
		if errors.Is(err, io.EOF) {
			return errLineEnd
		}
		if err != nil {
			return err
		}
		switch msg.Event {
		case EventConfig:
			c.takeConfig(msg.Data, l)
		case EventCommand:
			c.takeCommand(msg.Data, l)
		case EventGoodbye:
			var g Goodbye
			if json.Unmarshal(msg.Data, &g) != nil {
				return errLineEnd
			}
			g.Reason = Shorten(g.Reason)
			g.WaitMS = max(g.WaitMS, 0)
			if g.Code == CodeSuperseded {
				return &Error{Status: http.StatusConflict, Code: g.Code, Text: g.Reason}
			}
			return &farewell{g}
		}
	}
}

func (c *Client) takeConfig(data []byte, l *line) {
	var cfg Config
	err := json.Unmarshal(data, &cfg)
	if err == nil {
		err = cfg.Check(c.opts.Pump)
	}
	if err != nil {
		c.fault("config", "the house's configuration is not as it should be: "+Shorten(err.Error()))
		c.repeats.Log(slog.LevelError, "config", "the house's configuration is not as it should be; it is left aside", slog.Any("error", err))
		return
	}
	select {
	case <-l.configs: // there is a newer one
	default:
	}
	l.configs <- cfg
}

func (c *Client) takeCommand(data []byte, l *line) {
	var cmd Command
	err := json.Unmarshal(data, &cmd)
	if err == nil {
		err = cmd.Check()
	}
	if err != nil {
		c.repeats.Log(slog.LevelWarn, "command", "a command of the house is not as it should be; it is left aside", slog.Any("error", err))
		return
	}
	select {
	case l.commands <- cmd:
	default:
		c.repeats.Log(slog.LevelWarn, "commands", "too many commands of the house at once; one is left aside")
	}
}

// configure puts configurations in force.
func (c *Client) configure(ctx context.Context, _ *session, l *line) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case cfg := <-l.configs:
			c.fault("config", "")
			if err := c.opts.Side.Configure(ctx, cfg); err != nil {
				c.repeats.Log(slog.LevelError, "configure "+cfg.Digest, "what the house wants cannot be; the pump stays as it was", slog.Any("error", err))
			}
		}
	}
}

// commandTime bounds one command.
const commandTime = 5 * time.Second

// obey does what the house commands, each once.
func (c *Client) obey(ctx context.Context, _ *session, l *line) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case cmd := <-l.commands:
			if c.done.again(cmd.ID) {
				continue
			}
			within, cancel := context.WithTimeout(ctx, commandTime)
			c.do(within, &cmd)
			cancel()
		}
	}
}

func (c *Client) do(ctx context.Context, cmd *Command) {
	if cmd.Kind == CommandRetry {
		c.opts.Side.Retry(cmd.Streams)
		return
	}
	ids := c.opts.Journal.Find(cmd)
	a := Answer{Command: cmd.ID}
	if len(ids) > MaxViewers {
		a.Fault = "more viewers are meant than an answer can hold"
	}
	var figures []Figures
	if len(ids) > 0 {
		figures = c.opts.Side.Standings(ctx, ids)
	}
	if cmd.Kind == CommandKick && len(ids) > 0 {
		c.opts.Log.Info("the house has viewers cut off", slog.Int("viewers", len(ids)), slog.String("reason", cmd.Reason))
		// The answer is first: in the journal they are there until they have left.
		c.opts.Journal.Answer(a, figures)
		c.opts.Side.Kick(ctx, ids, cmd.Reason)
		return
	}
	c.opts.Journal.Answer(a, figures)
}

// maxDone is how many commands are remembered.
const maxDone = 1024

// doneCommands remembers which commands were done.
type doneCommands struct {
	mu   sync.Mutex
	ids  map[string]bool
	ring []string
	at   int
}

// again tells whether a command was done, and remembers it.
func (d *doneCommands) again(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ids[id] {
		return true
	}
	if d.ids == nil {
		d.ids, d.ring = map[string]bool{}, make([]string, maxDone)
	}
	delete(d.ids, d.ring[d.at])
	d.ids[id], d.ring[d.at] = true, id
	d.at = (d.at + 1) % maxDone
	return false
}
