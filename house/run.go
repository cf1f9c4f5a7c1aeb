package house

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"syscall"

	"github.com/stream-pump/stream-pump/config"
)

// Run starts a house and keeps it going until ctx is done, a signal stops it or a listener
// fails. It returns nil after an orderly end.
func Run(ctx context.Context, cfg *config.House, o Options) error {
	h, err := starting(ctx, cfg, o)
	if err != nil || h == nil {
		return err
	}
	h.log.Info("the house serves", slog.String("name", h.name), slog.Int("pumps", len(h.fleet.View().Pumps)), slog.Int("streams", len(h.fleet.View().Streams)))
	if o.Ready != nil {
		o.Ready(h)
	}
	for {
		select {
		case <-ctx.Done():
			return h.finish("the program was asked to end")
		case err := <-h.failed:
			return errors.Join(err, h.finish("a listener failed"))
		case sig := <-o.Signals:
			if sig != syscall.SIGHUP {
				return h.finish(sig.String())
			}
			h.log.Info("reload", slog.String("signal", sig.String()))
			if err := h.Reload(ctx); err != nil {
				h.logReload(err)
			}
		}
	}
}

// starting is [Start], which a signal ends: waiting for the store can take minutes. Without an error
// and a house it was ended so.
func starting(ctx context.Context, cfg *config.House, o Options) (*House, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type started struct {
		h   *House
		err error
	}
	done := make(chan started, 1)
	go func() {
		h, err := Start(ctx, cfg, o)
		done <- started{h, err}
	}()
	for ended := false; ; {
		select {
		case s := <-done:
			if ended && s.h != nil {
				s.h.Close()
			}
			if ended {
				return nil, nil
			}
			return s.h, s.err
		case sig := <-o.Signals:
			if sig == syscall.SIGHUP {
				continue // the files were read just now
			}
			if o.Log != nil {
				o.Log.Info("stopping before the start was done", slog.String("reason", sig.String()))
			}
			ended = true
			cancel()
		}
	}
}

func (h *House) finish(why string) error {
	within := h.cfg.Load().Drain.Timeout.D()
	h.log.Info("stopping", slog.String("reason", why), slog.String("within", within.String()))
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	stop := make(chan struct{})
	defer close(stop)
	go func() { // a second signal ends it at once
		select {
		case sig := <-h.opts.Signals:
			if sig == os.Interrupt || sig == syscall.SIGTERM {
				cancel()
			}
		case <-stop:
		}
	}()
	if err := h.Stop(ctx); err != nil {
		h.log.Warn("the end took too long", slog.Any("error", err))
	}
	h.log.Info("stopped")
	return nil
}

func (h *House) logReload(err error) {
	var problems config.Problems
	if !errors.As(err, &problems) {
		h.log.Error("the reload failed; nothing was changed", slog.Any("error", err))
		return
	}
	for _, p := range problems {
		h.log.Error("the configuration is wrong; nothing was changed", slog.String("problem", p.String()))
	}
}
