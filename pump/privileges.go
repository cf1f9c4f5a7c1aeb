package pump

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/internal/disk"
	"github.com/stream-pump/stream-pump/internal/runas"
)

// runAs is whom a configuration wants the program to become.
func runAs(c *config.Config) runas.Want {
	return runas.Want{User: c.RunAs.User, Group: c.RunAs.Group, Groups: c.RunAs.Groups}
}

// dropPrivileges becomes the user of run_as for good. Every listener is open and every key
// is read by then, and nothing from outside is.
func (p *Pump) dropPrivileges(cfg *config.Config) error {
	a, err := runas.Drop(runAs(cfg))
	if err != nil {
		return err
	}
	p.account = a
	if a.Name == "" {
		if os.Geteuid() == 0 && p.opts.Load != nil {
			p.log.Warn("running as root; name an ordinary user in run_as, or start the program as one")
		}
		return nil
	}
	p.log.Info("running as", slog.String("user", a.Name), slog.Int("uid", a.UID), slog.Int("gid", a.GID), slog.Any("groups", a.Groups))
	p.warnUnreadable(cfg)
	return nil
}

// warnUnreadable tells at once which file a later reload will not be able to read.
func (p *Pump) warnUnreadable(cfg *config.Config) {
	var denied []error
	if p.opts.Load != nil {
		if _, err := p.opts.Load(); errors.Is(err, fs.ErrPermission) {
			denied = append(denied, err)
		}
	}
	var names []string
	if cfg.SSL {
		names = append(names, cfg.SSLCert, cfg.SSLKey, cfg.SSLClientCA)
	}
	if cfg.House.On() && cfg.House.CA != "" {
		names = append(names, cfg.House.CA)
	}
	for _, name := range names {
		f, err := disk.Open(name)
		if errors.Is(err, fs.ErrPermission) {
			denied = append(denied, err)
		}
		_ = f.Close()
	}
	for _, err := range denied {
		p.log.Warn("a reload will not be able to read this", slog.Any("error", p.explainDenied(err)))
	}
}

// explainDenied adds to an error about a closed file what has changed since the start.
func (p *Pump) explainDenied(err error) error {
	if p.account.Name == "" || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return fmt.Errorf("%w (the program runs as the user %s since its start; let that user, or a group in run_as.groups, read the file)", err, p.account.Name)
}

// keptCertificate tells whether the certificate in force stays although its files cannot be
// read again: the same files, which root has read at the start and only root can read. A
// reload must not fail for ever because of that, and it says so every time.
func (p *Pump) keptCertificate(next *config.Config, err error) bool {
	return p.account.Name != "" && errors.Is(err, fs.ErrPermission) && certificateFiles(next) == certificateFiles(p.cfg)
}
