package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/house/roster"
	"github.com/stream-pump/stream-pump/house/store"
)

// PutPump adds or changes a pump. revision is that of the entry the change is based on, 0
// for whatever is there. What is wrong with the roster as it would be comes as
// [config.Problems].
func (r *Registry) PutPump(ctx context.Context, p roster.Pump, revision uint64) (uint64, error) {
	s := r.State()
	if err := s.with(p).Problems(); err != nil {
		return 0, err
	}
	place := s.nextPlace()
	if e, ok := s.pumps[p.ID]; ok {
		place = e.place
	}
	return r.putPump(ctx, p, place, revision)
}

func (r *Registry) putPump(ctx context.Context, p roster.Pump, place int, revision uint64) (uint64, error) {
	if revision == 0 {
		revision = store.Any
	}
	return r.keep(ctx, kindPump+p.ID, mustJSON(placed{place, roster.MarshalPump(p)}), revision)
}

// keep puts an entry and waits for it to be in force here.
func (r *Registry) keep(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	now, err := r.store.Put(ctx, key, value, revision)
	if err != nil {
		return 0, err
	}
	return now, r.until(ctx, func(s *State) bool { return s.revisions[key] >= now })
}

func (s *State) nextPlace() int {
	place := 0
	for _, e := range s.pumps {
		place = max(place, e.place+1)
	}
	return place
}

// with returns the roster with one pump added or changed.
func (s *State) with(p roster.Pump) *roster.Roster {
	c := &roster.Roster{Pumps: append([]roster.Pump(nil), s.Roster.Pumps...), Expectations: s.Roster.Expectations}
	if i := c.Index(p.ID); i >= 0 {
		c.Pumps[i] = p
	} else {
		c.Pumps = append(c.Pumps, p)
	}
	return c
}

// without returns the roster with one pump less.
func (s *State) without(id string) *roster.Roster {
	c := &roster.Roster{}
	for _, p := range s.Roster.Pumps {
		if p.ID != id {
			c.Pumps = append(c.Pumps, p)
		}
	}
	for _, e := range s.Roster.Expectations {
		if e.Pump != id {
			c.Expectations = append(c.Expectations, e)
		}
	}
	return c
}

// DeletePump takes a pump off the roster, with its key, its invite and its certificates. A
// pump that others have as a parent stays.
func (r *Registry) DeletePump(ctx context.Context, id string, revision uint64) error {
	s := r.State()
	e, ok := s.pumps[id]
	if !ok {
		return fmt.Errorf("deleting pump %s: %w", id, store.ErrNotFound)
	}
	if err := s.without(id).Problems(); err != nil {
		return err
	}
	if revision == 0 {
		revision = e.revision
	}
	if err := r.store.Delete(ctx, kindPump+id, revision); err != nil {
		return err
	}
	return errors.Join(r.forget(ctx, id), r.until(ctx, func(s *State) bool { return s.pumps[id].revision == 0 }))
}

// forget takes away what lets a pump in.
func (r *Registry) forget(ctx context.Context, id string) error {
	s := r.State()
	errs := []error{r.store.Delete(ctx, kindKey+id, store.Any), r.store.Delete(ctx, kindInvite+id, store.Any)}
	for serial, c := range s.Certificates {
		if c.Pump == id && c.Revoked.IsZero() {
			errs = append(errs, r.Revoke(ctx, serial))
		}
	}
	return errors.Join(errs...)
}

// PutStream adds or changes a stream: an object as it stands in a configuration. Secrets that
// are *** stay what they were.
func (r *Registry) PutStream(ctx context.Context, settings []byte, revision uint64) (path string, now uint64, err error) {
	s := r.State()
	var before *config.Stream
	var named struct{ Path string }
	if json.Unmarshal(settings, &named) == nil {
		if old, had := s.streams[lower(named.Path)]; had {
			before = &old.Config
		}
	}
	c, err := config.ParseStream("stream.json", settings, r.opts.Signing(), before)
	if err != nil {
		return "", 0, err
	}
	key := lower(c.Path)
	old, had := s.streams[key]
	place := old.Place
	if !had {
		for _, e := range s.streams {
			place = max(place, e.Place+1)
		}
		if len(s.streams) >= MaxStreams {
			return "", 0, fmt.Errorf("there are %d streams already: %w", MaxStreams, ErrTooMany)
		}
	}
	if revision == 0 {
		revision = store.Any
	}
	now, err = r.keep(ctx, kindStream+key, mustJSON(placed{place, c.JSON(false)}), revision)
	return c.Path, now, err
}

// MaxStreams bounds the streams of a fleet.
const MaxStreams = 2000

// ErrTooMany says that there is no room for one more.
var ErrTooMany = errors.New("too many")

// DeleteStream takes a stream off.
func (r *Registry) DeleteStream(ctx context.Context, path string, revision uint64) error {
	key := lower(path)
	e, ok := r.State().streams[key]
	if !ok {
		return fmt.Errorf("deleting stream %s: %w", path, store.ErrNotFound)
	}
	if revision == 0 {
		revision = e.Revision
	}
	if err := r.store.Delete(ctx, kindStream+key, revision); err != nil {
		return err
	}
	return r.until(ctx, func(s *State) bool { return s.streams[key].Revision == 0 })
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil { // of types of this package, all of which can be written
		panic(fmt.Sprintf("registry: writing %T: %v", v, err))
	}
	return b
}
