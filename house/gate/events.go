package gate

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
)

func bearer(r *http.Request) (string, bool) {
	return strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
}

// line is the event stream of one pump. Its handler's goroutine writes it.
type line struct {
	pump     string
	wake     chan struct{} // something may be different
	commands chan fleet.Command
	boot     string
	over     chan struct{} // closed when a newer line of the pump has come, or it may not be here any more
	usurped  bool          // that line is of another run; set before over is closed
}

// maxCommands bounds commands that wait for a line.
const maxCommands = 256

func (l *line) wakeUp() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// enlist makes l the pump's line in place of an older one.
func (g *Gate) enlist(l *line) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if old := g.lines[l.pump]; old != nil {
		old.usurped = old.boot != l.boot
		close(old.over)
	}
	g.lines[l.pump] = l
}

// leave takes l off, and tells whether it was the pump's line still.
func (g *Gate) leave(l *line) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.lines[l.pump] != l {
		return false
	}
	delete(g.lines, l.pump)
	return true
}

// events holds a pump's event stream open.
func (g *Gate) events(w http.ResponseWriter, r *http.Request) {
	c, fault := g.sender(r)
	if fault != nil {
		refuse(w, fault)
		return
	}
	l := &line{pump: c.Pump, boot: c.Boot, wake: make(chan struct{}, 1), commands: make(chan fleet.Command, maxCommands), over: make(chan struct{})}
	stop, err := g.serveCommands(l)
	if err != nil {
		refuse(w, storeFault(err))
		return
	}
	g.enlist(l)
	out := &eventWriter{w: w, control: http.NewResponseController(w)}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold it back
	w.WriteHeader(http.StatusOK)
	why := g.write(r.Context(), out, l, c, r.URL.Query().Get("digest"))
	stop()
	if g.leave(l) && why != nil {
		g.log.Info("the event stream of a pump has ended", slog.String("pump", c.Pump), slog.Any("reason", why))
		g.opts.Fleet.Hurt(c.Pump, g.opts.Hurt)
	}
}

// eventWriter writes events; each must be out in time.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

const writeWithin = 10 * time.Second

func (e *eventWriter) send(b []byte) error {
	_ = e.control.SetWriteDeadline(time.Now().Add(writeWithin)) // not every writer has one
	if _, err := e.w.Write(b); err != nil {
		return err
	}
	return e.control.Flush()
}

func (e *eventWriter) event(name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return e.send(fleet.AppendMessage(nil, fleet.Message{Event: name, Data: b}))
}

// write sends what there is to send until the line ends, and returns why.
func (g *Gate) write(ctx context.Context, out *eventWriter, l *line, c claims, digest string) error {
	if err := out.send(fleet.Comment); err != nil {
		return err
	}
	silence := time.NewTicker(fleet.SilenceMax / 2)
	defer silence.Stop()
	for {
		if fault := g.valid(c); fault != nil {
			_ = out.event(fleet.EventGoodbye, fleet.Goodbye{Reason: fault.Text, WaitMS: 1000}) // it ends in any case
			return fault
		}
		if want, ok := g.Effective(l.pump); ok && want.Digest != digest && !g.early(l.pump) {
			if err := out.event(fleet.EventConfig, want); err != nil {
				return err
			}
			digest = want.Digest
			g.log.Info("configuration sent", slog.String("pump", l.pump), slog.String("digest", digest))
		}
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.over:
			if l.usurped { // or it would take its place back at once, and lose it at once
				_ = out.event(fleet.EventGoodbye, fleet.Goodbye{Code: fleet.CodeSuperseded, Reason: "another run of " + l.pump + " has said hello later; is its id in two configurations?"})
			}
			return nil
		case <-g.closing:
			return out.event(fleet.EventGoodbye, fleet.Goodbye{Reason: "the house is stopping", WaitMS: 500})
		case command := <-l.commands:
			err = out.event(fleet.EventCommand, command)
		case <-l.wake:
			time.Sleep(gather) // what changes together comes together
		case <-silence.C:
			err = out.send(fleet.Comment)
		}
		if err != nil {
			return err
		}
	}
}

// brokenFor is how long a pump whose event stream broke may take to be heard of.
const brokenFor = time.Second

// gather is how long changes are gathered before a configuration is made of them.
const gather = 20 * time.Millisecond

// config answers with the configuration, for people and scripts.
func (g *Gate) config(w http.ResponseWriter, r *http.Request) {
	c, fault := g.session(r)
	if fault != nil && r.Header.Get("Authorization") != "" {
		if id, _, ok := r.BasicAuth(); ok {
			ctx, cancel := g.context(r)
			defer cancel()
			c, _, fault = g.identify(ctx, r, id)
		}
	}
	if fault != nil {
		refuse(w, fault)
		return
	}
	want, ok := g.Effective(c.Pump)
	if !ok {
		refuse(w, fleet.Errorf(http.StatusForbidden, fleet.CodeDisabled, "the roster has no pump %s", c.Pump))
		return
	}
	reply(w, want)
}
