package pump

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/internal/runas"
	"github.com/stream-pump/stream-pump/internal/systemd"
	"github.com/stream-pump/stream-pump/telemetry"
)

// errInterrupted says that a second signal cut the way down short.
var errInterrupted = errors.New("interrupted: viewers were cut off")

// Run starts a pump and keeps it going until ctx is done, a signal stops it or a
// listener fails. It returns nil after an orderly end.
func Run(ctx context.Context, cfg *config.Config, o Options) error {
	relaxed := relaxMonitor() // before anything takes the right to do so away
	if err := runas.Prepare(runAs(cfg)); err != nil {
		return err
	}
	manager, err := systemd.Connect()
	if err != nil {
		return err
	}
	inherited, ready, err := inheritSockets(os.Environ())
	if err == nil {
		err = inherited.takeGiven()
	}
	if err != nil {
		return err
	}
	p, err := start(cfg, o, inherited)
	if err != nil {
		_ = manager.Tell(systemd.Status("not started: " + telemetry.RedactText(err.Error()))) // the error itself is told anyway
		return err
	}
	p.spareProcessor(relaxed)
	p.serveUnder(manager)
	ready()
	if o.Ready != nil {
		o.Ready(p)
	}
	return p.run(ctx)
}

func (p *Pump) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return p.end("the program was asked to end")
		case err := <-p.failed:
			return errors.Join(err, p.end("a listener failed"))
		case sig := <-p.opts.Signals:
			if over, err := p.obey(ctx, sig); over {
				return err
			}
		}
	}
}

// obey does what a signal says and tells whether the pump is over.
func (p *Pump) obey(ctx context.Context, sig os.Signal) (over bool, err error) {
	switch sig {
	case syscall.SIGHUP:
		p.log.Info("reload", slog.String("signal", sig.String()))
		p.logReload(p.ReloadFile(false))
	case upgradeSignal:
		if err := p.handOver(ctx); err != nil {
			p.log.Error("the new program does not serve, this one goes on", slog.Any("error", err))
			return false, nil
		}
		return true, p.leave(ctx)
	default:
		return true, p.end(sig.String())
	}
	return false, nil
}

// end stops the pump within the drain time, or at once when another signal comes.
func (p *Pump) end(why string) error {
	timeout := p.drainTimeout()
	p.announceEnd(why, timeout)
	p.log.Info("stopping", slog.String("reason", why), slog.String("within", timeout.String()), slog.Int("viewers", p.Watching()))
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	done := make(chan struct{})
	defer close(done)
	interrupted := make(chan struct{})
	go func() {
		if p.awaitEndSignal(done) {
			close(interrupted)
			cancel()
		}
	}()
	err := p.Stop(ctx)
	select {
	case <-interrupted:
		return errInterrupted
	default:
	}
	if err != nil {
		// Whoever did not take the end of the stream in time was cut off: the drain
		// time is there for that.
		p.log.Warn("not everybody left in time", slog.Any("error", err))
	}
	p.log.Info("stopped")
	return nil
}

// awaitEndSignal waits for a signal to end, until done is closed.
func (p *Pump) awaitEndSignal(done <-chan struct{}) bool {
	for {
		select {
		case sig := <-p.opts.Signals:
			if sig == os.Interrupt || sig == syscall.SIGTERM {
				return true
			}
		case <-done:
			return false
		}
	}
}

// leave serves those who are there until they have left or the drain time is over; the
// new program has everybody else. Somebody who has connected and not asked yet is there:
// no other program knows of him.
func (p *Pump) leave(ctx context.Context) error {
	p.closeDoors()
	if p.admin != nil {
		p.admin.close() // operators ask the new program
	}
	p.yieldSNMP()
	p.member.close() // the new program speaks for the pump
	limit := time.NewTimer(p.drainTimeout())
	defer limit.Stop()
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for p.attended() {
		select {
		case <-look.C:
			continue
		case <-limit.C:
		case <-ctx.Done():
		case sig := <-p.opts.Signals:
			if sig != os.Interrupt && sig != syscall.SIGTERM {
				continue
			}
		}
		break
	}
	return p.end("a new program has taken over")
}

func (p *Pump) drainTimeout() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cfg.Drain.Timeout.D()
}
