package pump

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/telemetry"
)

// ReloadInfo is what a reload did.
type ReloadInfo struct {
	Added   []string `json:"added"`   // streams
	Removed []string `json:"removed"` // streams
	Changed []string `json:"changed"` // streams, with the keys that changed
	Applied []string `json:"applied"` // settings
	Later   []string `json:"later"`   // settings that only streams and sources started from now on feel
	Refused []string `json:"refused"` // changes that need a restart
}

// Empty reports whether the new configuration is the old one.
func (r ReloadInfo) Empty() bool {
	return len(r.Added)+len(r.Removed)+len(r.Changed)+len(r.Applied)+len(r.Later)+len(r.Refused) == 0
}

// ProblemInfo is one thing that is wrong with a configuration.
type ProblemInfo struct {
	File   string `json:"file"`
	Line   int    `json:"line"`   // from 1; 0: nowhere in particular
	Column int    `json:"column"` // from 1, in characters
	What   string `json:"what"`
	Right  string `json:"right,omitempty"`
}

// What keeps a reload from being tried.
var (
	ErrNoConfiguration = errors.New("there is no configuration file to read again")
	ErrStopping        = errors.New("the pump is stopping")
)

// ReloadFile reads the configuration again and applies it. On any error nothing changes.
func (p *Pump) ReloadFile() (ReloadInfo, error) {
	if p.opts.Load == nil {
		return ReloadInfo{}, ErrNoConfiguration
	}
	p.reloading.Lock() // what was read later is applied later
	defer p.reloading.Unlock()
	cfg, err := p.opts.Load()
	if err != nil {
		return ReloadInfo{}, err
	}
	return p.Reload(cfg)
}

// Reload applies a new configuration. Streams that are in both keep their viewers; a
// source that changed starts anew while they are held. What can only be set at the start
// is refused, and everything else applied.
func (p *Pump) Reload(cfg *config.Config) (ReloadInfo, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return ReloadInfo{}, ErrStopping
	}
	if err := p.try(cfg); err != nil {
		return ReloadInfo{}, err
	}
	if cfg.SSL && p.cert.Load() != nil { // the files may have changed though their names have not
		if err := p.loadCertificate(cfg); err != nil {
			return ReloadInfo{}, err
		}
	}
	d := config.Diff(p.cfg, cfg)
	info := ReloadInfo{Added: []string{}, Removed: []string{}, Changed: []string{}, Applied: []string{}, Later: []string{}, Refused: []string{}}
	p.applySettings(cfg, d, &info)
	if err := p.applyStreams(cfg, d, &info); err != nil {
		return info, err
	}
	p.cfg = cfg
	return info, nil
}

// try makes every source once, without starting it, to find out what cannot work.
func (p *Pump) try(cfg *config.Config) error {
	var errs []error
	for _, s := range cfg.Streams {
		if s.Enabled {
			_, _, err := p.sourcesOf(s, cfg)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (p *Pump) applySettings(cfg *config.Config, d config.Difference, info *ReloadInfo) {
	for _, c := range config.Diff(p.boot, cfg).Settings {
		if needsRestart(c) { // compared with what the program started with: told again at each reload
			c.Restart = true
			info.Refused = append(info.Refused, c.String())
		}
	}
	for _, c := range d.Settings {
		switch {
		case needsRestart(c):
		case hasPrefix(c.Key, "ring.", "pull.", "hold", "use_", "http_proxy_"):
			info.Later = append(info.Later, c.String())
		default:
			info.Applied = append(info.Applied, c.String())
		}
	}
	p.server.Update(settingsOf(cfg))
	p.limits.SetBounds(boundsOf(cfg))
	p.networks.Store(new(access.NewNetworks(cfg.Admin.Allow...)))
	if p.opts.Level != nil {
		if level, err := telemetry.ParseLevel(cfg.Log.Level); err == nil {
			p.opts.Level.Set(level)
		}
	}
}

// needsRestart knows, beyond what the configuration says, what is read once.
func needsRestart(c config.Change) bool { return c.Restart || hasPrefix(c.Key, "push.") }

func hasPrefix(s string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}

func (p *Pump) applyStreams(cfg *config.Config, d config.Difference, info *ReloadInfo) error {
	for _, s := range d.Removed {
		key := strings.ToLower(s.Path)
		p.remove(p.stations[key])
		delete(p.stations, key)
		info.Removed = append(info.Removed, s.Path)
	}
	var errs []error
	for _, c := range d.Changed {
		if err := p.retune(p.stations[strings.ToLower(c.New.Path)], c.New, cfg, c.Source); err != nil {
			errs = append(errs, err)
			continue
		}
		note, refused := describeChange(c)
		info.Changed = append(info.Changed, note...)
		info.Refused = append(info.Refused, refused...)
	}
	for _, s := range d.Added {
		if err := p.addLocked(s, cfg); err != nil {
			errs = append(errs, err)
			continue
		}
		info.Added = append(info.Added, s.Path)
	}
	p.publish()
	return errors.Join(errs...)
}

// fixedKeys are what a stream is made with and keeps until it is removed.
var fixedKeys = []string{"path", "name"}

// describeChange tells what was done about a stream, and what a running stream cannot
// take over.
func describeChange(c config.StreamChange) (changed, refused []string) {
	var keys []string
	for _, x := range c.Changes {
		if slices.Contains(fixedKeys, x.Key) {
			x.Restart = true
			refused = append(refused, "stream "+c.New.Path+": "+x.String())
			continue
		}
		keys = append(keys, x.String())
	}
	if len(keys) > 0 {
		changed = append(changed, c.New.Path+": "+strings.Join(keys, "; "))
	}
	return changed, refused
}

// logReload tells what a reload did: each refusal and each problem on a line of its own.
func (p *Pump) logReload(info ReloadInfo, err error) {
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		for _, x := range problems {
			p.log.Error("configuration is wrong", slog.String("problem", x.String()))
		}
		p.log.Error("nothing was changed, the former configuration stays", slog.Int("problems", len(problems)))
		return
	case err != nil:
		p.log.Error("reloading", slog.Any("error", err))
		return
	}
	for _, x := range info.Refused {
		p.log.Warn("needs a restart, not applied", slog.String("change", x))
	}
	for what, list := range map[string][]string{
		"stream added": info.Added, "stream removed": info.Removed, "stream changed": info.Changed, "setting applied": info.Applied,
		"setting applied to streams and sources that start from now on": info.Later,
	} {
		for _, x := range list {
			p.log.Info(what, slog.String("change", x))
		}
	}
	if info.Empty() {
		p.log.Info("configuration read again, nothing has changed")
	}
}

func (a *admin) reload(w http.ResponseWriter, r *http.Request) {
	a.pump.log.Info("reload", slog.String("operator", r.RemoteAddr))
	info, err := a.pump.ReloadFile()
	a.pump.logReload(info, err)
	var problems config.Problems
	switch {
	case err == nil:
		writeJSON(w, http.StatusOK, info)
	case errors.As(err, &problems):
		e := APIError{Code: "invalid_configuration", Text: "the new configuration is wrong; nothing was changed"}
		for _, x := range problems {
			e.Problems = append(e.Problems, ProblemInfo{File: x.File, Line: x.Line, Column: x.Column, What: x.What, Right: x.Right})
		}
		writeJSON(w, http.StatusUnprocessableEntity, e)
	case errors.Is(err, ErrNoConfiguration):
		writeError(w, http.StatusConflict, "no_configuration", err.Error())
	case errors.Is(err, ErrStopping):
		writeError(w, http.StatusConflict, "stopping", err.Error())
	default:
		writeError(w, http.StatusUnprocessableEntity, "not_applied", telemetry.RedactText(err.Error()))
	}
}
