package pump

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/telemetry"
)

// ReloadInfo is what a reload did, or would do.
type ReloadInfo struct {
	Changes      []ChangeInfo `json:"changes"`
	Disturbed    int          `json:"viewers_disturbed"` // who see the stream end, or are held while its source starts anew
	NeedsRestart []string     `json:"needs_restart"`     // keys that cannot change at run time
	Warnings     []string     `json:"warnings"`          // what could not be done, beside the changes
}

// Empty reports whether the new configuration is the old one.
func (r ReloadInfo) Empty() bool { return len(r.Changes) == 0 }

// ChangeInfo is one thing that differs.
type ChangeInfo struct {
	Stream  string `json:"stream"` // path; empty: the whole pump
	Key     string `json:"key"`    // as pulse.min; empty: the whole stream
	What    string `json:"what"`   // added, removed or changed
	Old     string `json:"old"`    // empty where there is nothing to show, or only a secret differs
	New     string `json:"new"`
	Effect  string `json:"effect"`  // live, next, source, end or restart
	Viewers int    `json:"viewers"` // whom it disturbs
	Text    string `json:"text"`    // for people
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
	ErrNeedsRestart    = errors.New("the new configuration changes what cannot change at run time; nothing was changed")
)

// ReloadFile reads the configuration again and applies it, as [Pump.Reload] does. On any
// error nothing changes.
func (p *Pump) ReloadFile(partial bool) (_ ReloadInfo, err error) {
	if p.opts.Load == nil {
		return ReloadInfo{}, ErrNoConfiguration
	}
	p.reloading.Lock() // what was read later is applied later
	defer p.reloading.Unlock()
	done := p.announceReload()
	defer func() { done(err) }()
	cfg, err := p.opts.Load()
	if err != nil {
		return ReloadInfo{}, p.explainDenied(err)
	}
	return p.Reload(cfg, partial)
}

// Reload applies a new configuration. Streams that are in both keep their viewers; a
// source that changed starts anew while they are held. A configuration that changes what
// can only be set at the start is refused whole with [ErrNeedsRestart], and the answer
// names the keys; partial applies everything else.
func (p *Pump) Reload(cfg *config.Config, partial bool) (info ReloadInfo, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return ReloadInfo{}, ErrStopping
	}
	over, err := p.withHouse(cfg)
	if err != nil {
		return ReloadInfo{}, err
	}
	own := config.Keeping(p.own, cfg)
	way, warnings, err := p.houseReach(own)
	if err != nil {
		return ReloadInfo{}, err
	}
	if info, err = p.apply(over, partial); err != nil {
		return info, err
	}
	info.Warnings = append(info.Warnings, warnings...)
	p.own = own
	return info, p.reachHouse(way)
}

// apply is Reload for a configuration with the house's wishes in it. The caller holds p.mu.
func (p *Pump) apply(cfg *config.Config, partial bool) (info ReloadInfo, err error) {
	info = p.describeDifference(cfg)
	if len(info.NeedsRestart) > 0 && !partial {
		return info, ErrNeedsRestart
	}
	next := config.Keeping(p.cfg, cfg)
	if err := p.try(next); err != nil {
		return ReloadInfo{}, err
	}
	if p.keeper != nil && cfg.SSL { // the files may have changed though their names have not
		if info.Warnings, err = p.withCertificate(next, p.keeper.Reload); err != nil {
			return ReloadInfo{}, err
		}
		p.keeper.SetEvery(next.SSLWatch.D())
	}
	d := config.Diff(p.cfg, next)
	p.applySettings(next)
	if err := p.applyStreams(next, d); err != nil {
		return info, err
	}
	p.cfg = next
	p.inForce.Store(next)
	return info, nil
}

// Compare tells what a reload with this configuration would do now.
func (p *Pump) Compare(cfg *config.Config) (info ReloadInfo, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return ReloadInfo{}, ErrStopping
	}
	_, warnings, err := p.houseReach(config.Keeping(p.own, cfg))
	if err != nil {
		return ReloadInfo{}, err
	}
	if cfg, err = p.withHouse(cfg); err != nil {
		return ReloadInfo{}, err
	}
	next := config.Keeping(p.cfg, cfg)
	if err := p.try(next); err != nil {
		return ReloadInfo{}, err
	}
	info = p.describeDifference(cfg)
	if p.keeper != nil && cfg.SSL {
		if info.Warnings, err = p.withCertificate(next, p.keeper.Check); err != nil {
			return ReloadInfo{}, err
		}
	}
	info.Warnings = append(info.Warnings, warnings...)
	return info, nil
}

// describeDifference counts whom each change disturbs. The caller holds p.mu.
func (p *Pump) describeDifference(cfg *config.Config) ReloadInfo {
	d := config.Diff(p.cfg, cfg)
	info := DescribeDifference(d)
	stays := p.undisturbed(d, cfg)
	counted := map[string]bool{}
	for i := range info.Changes {
		c := &info.Changes[i]
		key := strings.ToLower(c.Stream)
		if c.Effect == string(config.EffectSource) && stays[key] {
			c.Effect = string(config.EffectNext)
		}
		if st := p.stations[key]; st != nil && config.Effect(c.Effect).Disturbs() {
			c.Viewers = st.stream.Viewers()
			if !counted[key] {
				info.Disturbed += c.Viewers
			}
			counted[key] = true
		}
	}
	return info
}

// undisturbed returns the streams whose sources change, but not the one that delivers now.
// The caller holds p.mu.
func (p *Pump) undisturbed(d config.Difference, cfg *config.Config) map[string]bool {
	m := map[string]bool{}
	for _, c := range d.Changed {
		key := strings.ToLower(c.New.Path)
		st := p.stations[key]
		if st == nil || !c.Source {
			continue
		}
		l, err := p.lineupOf(c.New, cfg, st.lineup)
		m[key] = err == nil && st.staysWith(l)
	}
	return m
}

// DescribeDifference tells what a reload would do of a pump that nobody watches.
func DescribeDifference(d config.Difference) ReloadInfo {
	info := ReloadInfo{Changes: []ChangeInfo{}, NeedsRestart: []string{}, Warnings: []string{}}
	for _, c := range d.Changes() {
		info.Changes = append(info.Changes, ChangeInfo{
			Stream: c.Stream, Key: c.Key, What: c.What, Old: c.Old, New: c.New, Effect: string(c.Effect), Text: c.String(),
		})
		if c.Effect == config.EffectRestart {
			key := c.Key
			if c.Stream != "" {
				key = "streams." + c.Stream + "." + c.Key
			}
			info.NeedsRestart = append(info.NeedsRestart, key)
		}
	}
	return info
}

// try makes every source and gate once, without starting it, to find out what cannot work.
func (p *Pump) try(cfg *config.Config) error {
	var errs []error
	for _, s := range cfg.Streams {
		if s.Enabled {
			_, err := p.lineupOf(s, cfg, lineup{})
			_, gateErr := p.gatesOf(s, cfg, newGuards())
			errs = append(errs, err, gateErr)
		}
	}
	return errors.Join(errs...)
}

func (p *Pump) applySettings(cfg *config.Config) {
	p.server.Update(settingsOf(cfg))
	p.push.SetTimeouts(cfg.Push.IdleTimeout.D(), cfg.Push.SessionTimeout.D(), cfg.Request.HeadTimeout.D())
	p.limits.SetBounds(p.bounds(cfg))
	p.setSNMP(cfg.SNMP)
	p.networks.Store(new(access.NewNetworks(cfg.Admin.Allow...)))
	p.proxies.Store(access.NewProxies(cfg.TrustedProxies...))
	p.hook.Update(hookSettings(cfg))
	p.idKey.Store(&cfg.IDParameter)
	if p.opts.Level != nil {
		if level, err := telemetry.ParseLevel(cfg.Log.Level); err == nil {
			p.opts.Level.Set(level)
		}
	}
	for _, st := range p.stations {
		setBounds(st.stream, st.cfg, cfg)
	}
}

func (p *Pump) applyStreams(cfg *config.Config, d config.Difference) error {
	for _, s := range d.Removed {
		key := strings.ToLower(s.Path)
		p.remove(p.stations[key])
		delete(p.stations, key)
	}
	var errs []error
	for _, c := range d.Changed {
		errs = append(errs, p.retune(p.stations[strings.ToLower(c.New.Path)], c.New, cfg, c.Source))
	}
	for _, s := range d.Added {
		errs = append(errs, p.addLocked(s, cfg))
	}
	errs = append(errs, p.regate(cfg))
	p.publish()
	return errors.Join(errs...)
}

// effectText says in the log what became of a change.
var effectText = map[config.Effect]string{
	config.EffectLive:    "applied",
	config.EffectNext:    "applied to streams and sources that start from now on",
	config.EffectSource:  "applied, the source starts anew",
	config.EffectEnd:     "applied, viewers got the end of the stream",
	config.EffectRestart: "needs a restart, not applied",
}

// logReload tells what a reload did: each change and each problem on a line of its own.
func (p *Pump) logReload(info ReloadInfo, err error) {
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		for _, x := range problems {
			p.log.Error("configuration is wrong", slog.String("problem", x.String()))
		}
		p.log.Error("nothing was changed, the former configuration stays", slog.Int("problems", len(problems)))
		return
	case errors.Is(err, ErrNeedsRestart):
		for _, c := range info.Changes {
			if c.Effect == string(config.EffectRestart) {
				p.log.Error("cannot change at run time", slog.String("change", c.Text))
			}
		}
		p.log.Error("nothing was changed, the former configuration stays", slog.Any("needs_restart", info.NeedsRestart))
		return
	case err != nil:
		p.log.Error("reloading", slog.Any("error", err))
		return
	}
	for _, c := range info.Changes {
		level := slog.LevelInfo
		if c.Effect == string(config.EffectRestart) {
			level = slog.LevelWarn
		}
		p.log.Log(context.Background(), level, effectText[config.Effect(c.Effect)], slog.String("change", c.Text), slog.Int("viewers", c.Viewers))
	}
	for _, w := range info.Warnings {
		p.log.Error("not done", slog.String("reason", w))
	}
	if info.Empty() {
		p.log.Info("configuration read again, nothing has changed")
	}
}
