package pump

import (
	"log/slog"
	"net"
	"net/netip"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/ringbuf"
)

const (
	fewFiles   = 4096 // a limit of open files below this is surely set by mistake
	spareFiles = 64   // what a pump needs beside one file for each connection
)

// warn tells what will work, but not as well as it could.
func (p *Pump) warn(cfg *config.Config) {
	if err := ringbuf.CheckCacheLine(); err != nil {
		p.log.Warn("slower than it could be", slog.Any("reason", err))
	}
	p.warnFiles(cfg.Limits.Connections)
	if p.admin != nil && len(cfg.Admin.Allow) == 0 && !isLoopback(cfg.Admin.Listen) {
		p.log.Warn("the admin port can be reached from other machines, and whoever reaches it may do everything; set admin.allow",
			slog.String("listen", cfg.Admin.Listen))
	}
	if len(p.registry.All()) == 0 && len(cfg.House.URL) == 0 { // a house sends streams
		p.log.Warn("no stream is configured and enabled")
	}
}

func (p *Pump) warnFiles(connections int) {
	files, err := p.files.most, p.files.err
	switch {
	case err != nil:
		p.log.Warn("the limit of open files is not known", slog.Any("error", err))
	case connections > 0 && files < uint64(connections)+spareFiles:
		p.log.Warn("limits.connections is more than open files allow; raise the limit (LimitNOFILE= or ulimit -n)",
			slog.Uint64("open_files", files), slog.Int("connections", connections))
	case files < fewFiles:
		p.log.Warn("few files may be open, and each viewer is one; raise the limit (LimitNOFILE= or ulimit -n)",
			slog.Uint64("open_files", files))
	}
}

// isLoopback tells whether an address as configured can be reached from this machine only.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
