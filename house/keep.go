package house

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/house/registry"
	"github.com/stream-pump/stream-pump/house/roster"
	"github.com/stream-pump/stream-pump/house/store"
	"github.com/stream-pump/stream-pump/telemetry"
)

// storeOptions says where the fleet is kept.
func storeOptions(cfg *config.House, name string, log *slog.Logger) (store.Options, error) {
	n := cfg.NATS
	o := store.Options{Name: name, Prefix: n.Prefix, Replicas: n.Replicas, Log: log}
	if len(n.URLs) > 0 {
		o.URLs, o.Credentials, o.User, o.Password = n.URLs, n.Credentials, n.User, n.Password
		o.Kept = filepath.Join(cfg.Data, "kept")
		if n.CA != "" {
			pool, err := pool(n.CA)
			if err != nil {
				return o, fmt.Errorf("nats.ca: %w", err)
			}
			o.TLS = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		}
		return o, nil
	}
	o.Dir = store.Folder(cfg.Data)
	if n.Cluster.Listen == "" {
		return o, nil
	}
	pool, err := pool(n.Cluster.CA)
	if err != nil {
		return o, fmt.Errorf("nats.cluster.ca: %w", err)
	}
	cert, err := tls.LoadX509KeyPair(n.Cluster.Cert, n.Cluster.Key)
	if err != nil {
		return o, fmt.Errorf("nats.cluster.cert and key: %w", err)
	}
	o.Cluster = store.Cluster{Listen: n.Cluster.Listen, Routes: n.Cluster.Routes, Secret: n.Cluster.Secret, TLS: &tls.Config{
		Certificates: []tls.Certificate{cert}, RootCAs: pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12,
	}}
	return o, nil
}

func pool(file string) (*x509.CertPool, error) {
	p := x509.NewCertPool()
	return p, addTo(p, file)
}

func addTo(p *x509.CertPool, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !p.AppendCertsFromPEM(text) {
		return fmt.Errorf("%s holds no certificate in PEM form", file)
	}
	return nil
}

// seed takes over what has changed in the files.
func (h *House) seed(ctx context.Context, cfg *config.House) error {
	s, stamp, err := readSeed(cfg)
	if err != nil {
		return err
	}
	mark := filepath.Join(cfg.Data, "roster.seen")
	seen, err := os.ReadFile(mark)
	s.Fresh = err != nil || string(seen) != stamp
	if err := h.registry.Seed(ctx, s); err != nil {
		if errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrUnavailable) {
			h.log.Error("what has changed in the files cannot be taken over now; what was kept before is in force", slog.Any("error", err))
			return nil
		}
		return fmt.Errorf("taking over what has changed in the files: %w", err)
	}
	if s.Fresh && stamp != "" {
		if err := writeFile(mark, []byte(stamp)); err != nil {
			h.log.Warn("it cannot be noted which roster file was read", slog.Any("error", err)) // it is read again
		}
	}
	return nil
}

// readSeed reads what files say. stamp tells one state of the roster file from another.
func readSeed(cfg *config.House) (s registry.Seed, stamp string, err error) {
	s.Streams = cfg.Streams
	if cfg.PumpsRosterJSON == "" {
		return s, "", nil
	}
	info, err := os.Stat(cfg.PumpsRosterJSON)
	if err != nil {
		return s, "", fmt.Errorf("reading the roster: %w", err)
	}
	if s.Roster, err = roster.Load(cfg.PumpsRosterJSON); err != nil {
		return s, "", err
	}
	return s, fmt.Sprintf("%s %d %d\n", cfg.PumpsRosterJSON, info.Size(), info.ModTime().UnixNano()), nil
}

// writeFile writes a whole file or nothing.
func writeFile(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	next := name + ".next"
	if err := os.WriteFile(next, data, 0o600); err != nil {
		return err
	}
	return os.Rename(next, name)
}

// attend holds this house's lease, and does what only one house should: forget what has
// ended.
func (h *House) attend(ctx context.Context, mine store.Lease) {
	tick := time.NewTicker(store.LeaseFor / 3)
	defer tick.Stop()
	repeats := telemetry.NewRepeats(h.log, telemetry.RepeatsOptions{Every: 5 * time.Second, Longest: 5 * time.Minute})
	defer repeats.Close()
	var leader store.Lease
	var err error
	expired := time.Time{}
	for {
		try, cancel := context.WithTimeout(ctx, store.LeaseFor/3)
		if mine, err = h.hold(try, mine, leaseOf(h.name), h.claimant()); errors.Is(err, store.ErrHeld) {
			if other := h.nameTaken(try); other != nil {
				repeats.Log(slog.LevelError, "name", "another house with this name has come while the store was away", slog.Any("error", other))
			}
		}
		if leader, err = h.hold(try, leader, "leader", []byte(h.name)); errors.Is(err, store.ErrFull) {
			repeats.Log(slog.LevelError, "lease", "no house can be told to lead: webhooks wait", slog.Any("error", err))
		}
		h.leads.Store(leader != nil)
		h.keepUsers(try)
		if leader != nil && h.registry.Orphaned() {
			if err := h.registry.Resume(try); err != nil {
				h.log.Warn("going on with what another house has left", slog.Any("error", err))
			}
		}
		if leader != nil && time.Since(expired) > time.Hour {
			expired = time.Now()
			if err := h.registry.Expire(try); err != nil {
				h.log.Warn("forgetting what has ended", slog.Any("error", err))
			}
		}
		cancel()
		select {
		case <-ctx.Done():
			h.leads.Store(false)
			h.letGo(mine, leader)
			return
		case <-tick.C:
		}
	}
}

// hold renews a lease, or tries to get it.
func (h *House) hold(ctx context.Context, l store.Lease, name string, value []byte) (store.Lease, error) {
	if l != nil && l.Renew(ctx) == nil {
		return l, nil
	}
	l, err := h.store.Acquire(ctx, name, value)
	if err != nil {
		if !errors.Is(err, store.ErrHeld) && ctx.Err() == nil {
			h.log.Debug("no lease", slog.String("lease", name), slog.Any("error", err))
		}
		return nil, err
	}
	return l, nil
}

func (h *House) letGo(leases ...store.Lease) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, l := range leases {
		if l != nil {
			_ = l.Release(ctx) // it ends by itself
		}
	}
}
