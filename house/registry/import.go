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

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/house/roster"
	"github.com/stream-pump/stream-pump/house/store"
)

// ImportRoster makes the roster equal to a file: pumps that are not in it go. Keys that the
// file does not give stay what they are.
func (r *Registry) ImportRoster(ctx context.Context, f *roster.File) error {
	s := r.State()
	var errs []error
	for i, p := range f.Roster.Pumps {
		errs = append(errs, r.putIfDifferent(ctx, s, p, i))
	}
	errs = append(errs, r.putExpectations(ctx, f.Roster))
	for id := range s.pumps {
		if f.Roster.Index(id) < 0 {
			errs = append(errs, r.store.Delete(ctx, kindPump+id, store.Any), r.forget(ctx, id))
		}
	}
	errs = append(errs, r.setKeys(ctx, f.Keys), r.settle(ctx, f.Roster))
	return errors.Join(errs...)
}

// settle waits for the pumps of a roster to be in force.
func (r *Registry) settle(ctx context.Context, want *roster.Roster) error {
	return r.until(ctx, func(s *State) bool {
		for i, p := range want.Pumps {
			if e, ok := s.pumps[p.ID]; !ok || e.place != i || !bytes.Equal(roster.MarshalPump(e.pump), roster.MarshalPump(p)) {
				return false
			}
		}
		return true
	})
}

func (r *Registry) putIfDifferent(ctx context.Context, s *State, p roster.Pump, place int) error {
	e, ok := s.pumps[p.ID]
	if ok && e.place == place && bytes.Equal(roster.MarshalPump(e.pump), roster.MarshalPump(p)) {
		return nil
	}
	_, err := r.store.Put(ctx, kindPump+p.ID, mustJSON(placed{place, roster.MarshalPump(p)}), store.Any)
	return err
}

func (r *Registry) putExpectations(ctx context.Context, want *roster.Roster) error {
	text := (&roster.Roster{Pumps: bare(want), Expectations: want.Expectations}).JSON(nil)
	if len(want.Expectations) == 0 {
		return r.store.Delete(ctx, keyExpect, store.Any)
	}
	_, err := r.store.Put(ctx, keyExpect, text, store.Any)
	return err
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

// setKeys sets the keys that are not what they should be. To find that out costs a hash for
// each, so it is done on all processors.
func (r *Registry) setKeys(ctx context.Context, keys map[string]string) error {
	s := r.State()
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for id, key := range keys {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			if err := r.setKeyIfDifferent(ctx, s, id, key); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func (r *Registry) setKeyIfDifferent(ctx context.Context, s *State, id, key string) error {
	have := s.keys[id].hash
	if have == key {
		return nil
	}
	hash, err := hashed(key)
	if err != nil {
		return fmt.Errorf("the key of %s: %w", id, err)
	}
	if hash != key && have != "" && matches(have, key) {
		return nil
	}
	_, err = r.keep(ctx, kindKey+id, []byte(hash), store.Any)
	return err
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
	s := r.State()
	want := map[string][]byte{} // by key in the store
	if f.Roster != nil {
		for i, p := range f.Roster.Roster.Pumps {
			want[kindPump+p.ID] = mustJSON(placed{i, roster.MarshalPump(p)})
		}
	}
	for i := range f.Streams {
		want[kindStream+lower(f.Streams[i].Path)] = mustJSON(placed{i, f.Streams[i].JSON(false)})
	}
	changed := 0
	var errs []error
	var put []string
	for key, value := range want {
		digest := digestOf(value)
		if s.seeds[key] == digest {
			continue
		}
		changed++
		if _, err := r.store.Put(ctx, key, value, store.Any); err != nil {
			errs = append(errs, err)
			continue
		}
		put = append(put, key)
		_, err := r.store.Put(ctx, kindSeed+key, []byte(digest), store.Any)
		errs = append(errs, err)
	}
	for key := range s.seeds {
		if want[key] != nil || f.Roster == nil && strings.HasPrefix(key, kindPump) {
			continue
		}
		changed++
		errs = append(errs, r.store.Delete(ctx, key, store.Any), r.store.Delete(ctx, kindSeed+key, store.Any))
		if id, isPump := strings.CutPrefix(key, kindPump); isPump {
			errs = append(errs, r.forget(ctx, id))
		}
	}
	if f.Roster != nil {
		errs = append(errs, r.seedRoster(ctx, f, changed > 0))
	}
	if changed > 0 {
		r.log.Info("taken over from files", slog.Int("changes", changed))
	}
	errs = append(errs, r.until(ctx, func(s *State) bool { return s.has(put) }))
	return errors.Join(errs...)
}

func (r *Registry) seedRoster(ctx context.Context, f Seed, changed bool) error {
	var errs []error
	if changed {
		errs = append(errs, r.putExpectations(ctx, f.Roster.Roster))
	}
	keys := f.Roster.Keys
	if !f.Fresh { // only pumps that have none yet
		s := r.State()
		keys = map[string]string{}
		for id, key := range f.Roster.Keys {
			if !s.HasKey(id) {
				keys[id] = key
			}
		}
	}
	return errors.Join(append(errs, r.setKeys(ctx, keys))...)
}

// has tells whether the entries that were put have come back.
func (s *State) has(put []string) bool {
	for _, key := range put {
		if id, isPump := strings.CutPrefix(key, kindPump); isPump && s.pumps[id].revision == 0 {
			return false
		}
		if path, isStream := strings.CutPrefix(key, kindStream); isStream && s.streams[path].Revision == 0 {
			return false
		}
	}
	return true
}

func digestOf(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:16])
}
