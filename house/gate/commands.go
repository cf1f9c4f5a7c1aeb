package gate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/store"
)

// ErrUnreachable says that no house has the pump's event stream.
var ErrUnreachable = errors.New("the pump is not connected")

// serveCommands takes commands for a line's pump from all houses.
func (g *Gate) serveCommands(l *line) (stop func(), err error) {
	return g.opts.Bus.Serve("command."+l.pump, func(data []byte) []byte {
		var c fleet.Command
		if json.Unmarshal(data, &c) != nil || c.Check() != nil {
			return []byte("bad")
		}
		select {
		case l.commands <- c:
			return []byte("ok")
		default:
			return []byte("full")
		}
	})
}

// Do sends a command to a pump, whichever house it is connected to, and waits for its
// answer within the context's time. The command's ID is set here.
func (g *Gate) Do(ctx context.Context, pump string, c fleet.Command) ([]fleet.Viewer, error) {
	c.ID = fleet.NewBoot()
	if err := c.Check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, fleet.CommandFor)
	defer cancel()
	answers, done := g.opts.Fleet.Await(c.ID)
	defer done()
	data, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("writing the command: %w", err)
	}
	said, err := g.opts.Bus.Request(ctx, "command."+pump, data)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, fmt.Errorf("%s: %w", pump, ErrUnreachable)
	case err != nil:
		return nil, fmt.Errorf("telling %s: %w", pump, err)
	case string(said) != "ok":
		return nil, fmt.Errorf("telling %s: too many commands wait for it", pump)
	}
	select {
	case a := <-answers:
		if a.Fault != "" {
			return a.Viewers, fmt.Errorf("%s answers: %s", pump, a.Fault)
		}
		return a.Viewers, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the answer of %s: %w", pump, ctx.Err())
	}
}
