package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/house/roster"
)

// ImportRoster makes the roster equal to a file: pumps that are not in it go. Keys that the
// file does not give stay what they are. All of it is one change: whoever looks, and whoever
// finds what a house has left that died meanwhile, has the old roster or the new one.
func (r *Registry) ImportRoster(ctx context.Context, f *roster.File) error {
	keys, err := r.hashKeys(f.Keys)
	if err != nil {
		return err
	}
	_, err = r.bundled(ctx, func(p *plan) error {
		for i, x := range f.Roster.Pumps {
			if e, ok := p.s.pumps[x.ID]; !ok || e.place != i || !bytes.Equal(roster.MarshalPump(e.pump), roster.MarshalPump(x)) {
				p.put(kindPump+x.ID, mustJSON(placed{i, roster.MarshalPump(x)}))
			}
		}
		p.expectations(f.Roster)
		for id := range p.s.pumps {
			if f.Roster.Index(id) < 0 {
				p.delete(kindPump + id)
				p.forget(id, r.opts.Now())
			}
		}
		p.keys(keys)
		return nil
	})
	return err
}

// expectations makes those of the store equal to a roster's.
func (p *plan) expectations(want *roster.Roster) {
	text := (&roster.Roster{Pumps: bare(want), Expectations: want.Expectations}).JSON(nil)
	have := &roster.Roster{Expectations: p.s.expect}
	have.Pumps = bare(have)
	switch {
	case len(want.Expectations) == 0:
		p.delete(keyExpect)
	case !bytes.Equal(have.JSON(nil), text):
		p.put(keyExpect, text)
	}
}

// keys puts hashes that are not there.
func (p *plan) keys(hashes map[string]string) {
	for id, hash := range hashes {
		if p.s.keys[id].hash != hash {
			p.put(kindKey+id, []byte(hash))
		}
	}
}

// forget takes away what lets a pump in.
func (p *plan) forget(id string, now time.Time) {
	p.delete(kindKey + id)
	p.delete(kindInvite + id)
	for serial, c := range p.s.Certificates {
		if c.Pump == id && c.Revoked.IsZero() {
			c.Revoked = now.UTC()
			p.put(kindCertificate+serial, mustJSON(c))
		}
	}
}

// bare are the pumps that are expected, by id alone: an expectation is read with them.
func bare(r *roster.Roster) []roster.Pump {
	var list []roster.Pump
	seen := map[string]bool{}
	for _, e := range r.Expectations {
		if e.Pump != roster.None && !seen[e.Pump] {
			list = append(list, roster.Pump{ID: e.Pump, Title: e.Pump, Enabled: true})
		}
		seen[e.Pump] = true
	}
	return list
}

// hashKeys returns the hashes of the keys that are not what they should be. To find that out
// costs a hash for each, so it is done on all processors.
func (r *Registry) hashKeys(keys map[string]string) (map[string]string, error) {
	s := r.State()
	var (
		all    sync.WaitGroup
		mu     sync.Mutex
		errs   []error
		hashes = map[string]string{}
	)
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for id, key := range keys {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			hash, err := hashIfDifferent(s.keys[id].hash, key)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, fmt.Errorf("the key of %s: %w", id, err))
			} else if hash != "" {
				hashes[id] = hash
			}
		})
	}
	all.Wait()
	return hashes, errors.Join(errs...)
}

// hashIfDifferent returns the hash of a key, nothing if have is one.
func hashIfDifferent(have, key string) (string, error) {
	if have == key || have != "" && !strings.HasPrefix(key, "$") && matches(have, key) {
		return "", nil
	}
	return hashed(key)
}

// Export writes the roster in the form of the file, with hashes in place of keys.
func (r *Registry) Export() []byte {
	s := r.State()
	return s.Roster.JSON(s.hashes())
}

// Seed is what files say: the roster file and the streams of the configuration.
type Seed struct {
	Roster  *roster.File // nil: there is none
	Fresh   bool         // the roster file has changed since it was last read: its keys are compared
	Streams []config.Stream
}

// Seed takes over what has changed in files since they were last taken over: what was added or
// changed there is put, what was taken out there is deleted, and everything else stays as
// page and API have it.
func (r *Registry) Seed(ctx context.Context, f Seed) error {
	want := map[string][]byte{} // by key in the store
	var keys map[string]string
	if f.Roster != nil {
		for i, p := range f.Roster.Roster.Pumps {
			want[kindPump+p.ID] = mustJSON(placed{i, roster.MarshalPump(p)})
		}
		var err error
		if keys, err = r.hashKeys(r.seedKeys(f)); err != nil {
			return err
		}
	}
	for i := range f.Streams {
		want[kindStream+lower(f.Streams[i].Path)] = mustJSON(placed{i, f.Streams[i].JSON(false)})
	}
	changes, err := r.bundled(ctx, func(p *plan) error {
		for key, value := range want {
			if digest := digestOf(value); p.s.seeds[key] != digest {
				p.put(key, value)
				p.put(kindSeed+key, []byte(digest))
			}
		}
		for key := range p.s.seeds {
			if want[key] != nil || f.Roster == nil && strings.HasPrefix(key, kindPump) {
				continue
			}
			p.delete(key)
			p.delete(kindSeed + key)
			if id, isPump := strings.CutPrefix(key, kindPump); isPump {
				p.forget(id, r.opts.Now())
			}
		}
		if f.Roster != nil {
			if len(p.ops) > 0 {
				p.expectations(f.Roster.Roster)
			}
			p.keys(keys)
		}
		return nil
	})
	if changes > 0 {
		r.log.Info("taken over from files", slog.Int("changes", changes))
	}
	return err
}

// seedKeys are the keys of the file that are looked at: all of them if it is new, else of those
// pumps alone that have none yet.
func (r *Registry) seedKeys(f Seed) map[string]string {
	if f.Fresh {
		return f.Roster.Keys
	}
	s := r.State()
	keys := map[string]string{}
	for id, key := range f.Roster.Keys {
		if !s.HasKey(id) {
			keys[id] = key
		}
	}
	return keys
}

func digestOf(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:16])
}
