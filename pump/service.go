package pump

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/stream-pump/stream-pump/internal/systemd"
)

// Times of what the service manager is told.
const (
	statusEvery = 10 * time.Second
	patShare    = 3               // pats in the time that the watchdog waits
	stopSpare   = 5 * time.Second // beyond drain.timeout, until the program has ended
)

// tell tells the service manager, if there is one. It may not be told anything once another
// program has taken over.
func (p *Pump) tell(states ...string) {
	if err := p.manager.Load().Tell(states...); err != nil {
		p.log.Warn("the service manager does not hear", slog.Any("error", err))
	}
}

// serveUnder tells the service manager that the pump serves, and keeps telling it how it
// is.
func (p *Pump) serveUnder(m *systemd.Manager) {
	if m == nil {
		return
	}
	p.manager.Store(m)
	p.tell(systemd.Ready, systemd.Status(p.statusLine()))
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { p.attend(ctx, m.Watchdog) })
	p.unattend = func() {
		cancel()
		done.Wait()
	}
}

// announceReload tells the service manager that the configuration is being read; call what
// it returns with the outcome.
func (p *Pump) announceReload() (done func(error)) {
	p.tell(systemd.Reloading())
	return func(err error) {
		p.refused.Store(err != nil)
		p.tell(systemd.Ready, systemd.Status(p.statusLine()))
	}
}

// announceEnd tells the service manager that the pump is on its way down, and how long
// that may take, whatever its own patience is. Nothing is told after it.
func (p *Pump) announceEnd(why string, within time.Duration) {
	p.unattend()
	p.tell(systemd.Stopping, systemd.Status("stopping: "+why), systemd.ExtendTimeout(within+stopSpare))
	p.manager.Store(nil)
}

// yieldTo tells the service manager that another program is the service now.
func (p *Pump) yieldTo(pid int) {
	p.unattend()
	p.tell(systemd.MainPID(pid))
	p.manager.Store(nil)
}

// attend tells the service manager how the pump is until ctx is done, and pats its watchdog
// as long as every event loop turns: a loop that hangs stops the pats, so that the manager
// starts the program anew.
func (p *Pump) attend(ctx context.Context, watchdog time.Duration) {
	every := statusEvery
	if watchdog > 0 {
		every = min(every, max(watchdog/patShare, time.Millisecond))
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	said := ""
	for {
		if watchdog > 0 {
			p.pat(ctx, every)
		}
		if now := p.statusLine(); now != said {
			p.tell(systemd.Status(now))
			said = now
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// pat pats the watchdog if every event loop answers within the time.
func (p *Pump) pat(ctx context.Context, within time.Duration) {
	asked, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := p.server.Ping(asked); err == nil {
		p.tell(systemd.Pat)
	} else if ctx.Err() == nil {
		p.log.Error("the watchdog is not told that all is well", slog.Any("error", err))
	}
}

// statusLine says in one line how the pump is.
func (p *Pump) statusLine() string {
	live, all := 0, p.registry.All()
	for _, s := range all {
		if s.State().Delivering() {
			live++
		}
	}
	line := fmt.Sprintf("%d viewers, %d of %d streams live", p.Watching(), live, len(all))
	if p.refused.Load() {
		line += "; the last reload was refused, the log says why"
	}
	return line
}
