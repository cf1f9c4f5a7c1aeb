package registry

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/stream-pump/stream-pump/house/store"
)

// A bundle is many changes that are one: an import. It is written down whole, then its changes
// are made, many at a time, then it is crossed out. Whoever finds one that was not crossed out
// goes on with it. So a house that dies in the midst of an import leaves what was there before, if
// the bundle was not written down yet, or else what is there when it is done; and who follows
// the store waits for its end, to see it as a whole.

// op is one change of a bundle. It is made only if the entry has the revision it was based on:
// doing it again does nothing, and neither does it undo what somebody else has changed since.
type op struct {
	Key     string `json:"key"`
	Value   string `json:"value,omitempty"`
	Deleted bool   `json:"deleted,omitempty"`
	Base    uint64 `json:"base,omitempty"`
}

// bundleHead is the entry [keyBundle], of the last import or of the one that goes on. What does
// not fit in it is in parts, which are there when Ready is set.
type bundleHead struct {
	Begun time.Time `json:"begun"`
	Ready bool      `json:"ready,omitempty"`
	Done  bool      `json:"done,omitempty"`
	Parts int       `json:"parts,omitempty"`
	Ops   []byte    `json:"ops,omitempty"` // JSON of []op, packed; if there are no parts

	revision uint64
	seen     time.Time // by this house
}

// pending tells whether there is an import that is not done.
func (h bundleHead) pending() bool { return h.revision != 0 && !h.Done }

// Bounds of bundles.
const (
	atOnce       = 64        // changes on their way to the store
	partBytes    = 256 << 10 // of a packed list
	maxParts     = 64
	maxUnpacked  = 256 << 20        // bytes
	busyWithin   = 30 * time.Second // others may change the same for so long
	busyAfter    = 100 * time.Millisecond
	orphanAfter  = 5 * time.Second
	discardAfter = 15 * time.Second // one that did not become ready; its house, if it lives, plans it anew
)

// ErrBusy says that two imports were in each other's way for too long.
var ErrBusy = errors.New("others change the same at the same time; try again")

// plan gathers changes that are based on one state.
type plan struct {
	s   *State
	ops []op
}

func (p *plan) put(key string, value []byte) {
	p.ops = append(p.ops, op{Key: key, Value: string(value), Base: p.s.revisions[key]})
}

func (p *plan) delete(key string) {
	if base := p.s.revisions[key]; base != 0 {
		p.ops = append(p.ops, op{Key: key, Deleted: true, Base: base})
	}
}

// bundled makes what is planned, and waits for it to be in force. If somebody else has changed
// something of it meanwhile, or has imported, it is planned anew.
func (r *Registry) bundled(ctx context.Context, draw func(*plan) error) (changes int, err error) {
	select {
	case r.bundling <- struct{}{}:
		defer func() { <-r.bundling }()
	case <-ctx.Done():
		return 0, fmt.Errorf("waiting for another import: %w", ctx.Err())
	}
	for until := time.Now().Add(busyWithin); time.Now().Before(until); {
		if err := r.Resume(ctx); err != nil { // with another house's, which may have died
			return changes, err
		}
		p := plan{s: r.State()}
		if err := draw(&p); err != nil {
			return changes, err
		}
		if len(p.ops) == 0 {
			return changes, nil
		}
		if err = r.carryOut(ctx, &p); !errors.Is(err, store.ErrChanged) {
			return changes + len(p.ops), err
		}
		select {
		case <-time.After(busyAfter):
		case <-ctx.Done():
			return changes, err
		}
	}
	return changes, fmt.Errorf("%w: %w", ErrBusy, err)
}

// carryOut writes the changes down if they are many, makes them, and waits for them to come back.
func (r *Registry) carryOut(ctx context.Context, p *plan) error {
	if p.s.bundle.pending() {
		return store.ErrChanged
	}
	if ops := p.ops; len(ops) == 1 { // which is one change anyway
		if err := r.make(ctx, ops); err != nil {
			return err
		}
		return r.until(ctx, func(s *State) bool { return s.revisions[ops[0].Key] != ops[0].Base })
	}
	head, err := r.writeDown(ctx, p)
	if err != nil {
		return err
	}
	made := r.make(ctx, p.ops)
	if made != nil && !errors.Is(made, store.ErrChanged) {
		return fmt.Errorf("the import has begun, and is gone on with once the store takes changes: %w", made)
	}
	if err := r.crossOut(ctx, head); err != nil {
		return err
	}
	return made
}

// writeDown keeps a bundle. Once that is done it will be carried out, whoever dies.
func (r *Registry) writeDown(ctx context.Context, p *plan) (bundleHead, error) {
	parts, err := pack(p.ops)
	if err != nil {
		return bundleHead{}, err
	}
	h := bundleHead{Begun: r.opts.Now().UTC()}
	if len(parts) == 1 {
		h.Ready, h.Ops = true, parts[0]
	}
	if h.revision, err = r.store.Put(ctx, keyBundle, mustJSON(h), p.s.bundle.revision); err != nil || h.Ready {
		return h, err
	}
	for i, part := range parts {
		if _, err := r.store.Put(ctx, partKey(i), part, store.Any); err != nil {
			return h, err // in vain: whoever comes gives it up
		}
	}
	h.Ready, h.Parts = true, len(parts)
	h.revision, err = r.store.Put(ctx, keyBundle, mustJSON(h), h.revision)
	return h, err
}

func partKey(i int) string { return kindPart + strconv.Itoa(i) }

// pack writes a list of changes small enough for the store.
func pack(ops []op) ([][]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := errors.Join(json.NewEncoder(z).Encode(ops), z.Close()); err != nil {
		return nil, fmt.Errorf("packing an import: %w", err)
	}
	parts := slices.Collect(slices.Chunk(b.Bytes(), partBytes))
	if len(parts) > maxParts {
		return nil, fmt.Errorf("an import of %d bytes, packed; at most %d: %w", b.Len(), maxParts*partBytes, ErrTooMany)
	}
	return parts, nil
}

func unpack(b []byte) (ops []op, err error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err == nil {
		err = json.NewDecoder(io.LimitReader(z, maxUnpacked)).Decode(&ops)
	}
	if err != nil {
		return nil, fmt.Errorf("unpacking an import: %w", err)
	}
	return ops, nil
}

// make makes changes, many at a time. What has another revision than it was based on is left
// alone; then, and if nothing else is wrong, it is ErrChanged.
func (r *Registry) make(ctx context.Context, ops []op) error {
	var (
		all     sync.WaitGroup
		mu      sync.Mutex
		failed  error
		changed error
	)
	slots := make(chan struct{}, atOnce)
	for _, o := range ops {
		slots <- struct{}{}
		mu.Lock()
		stop := failed != nil
		mu.Unlock()
		if stop {
			break
		}
		all.Go(func() {
			defer func() { <-slots }()
			err := r.makeOne(ctx, o)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, store.ErrChanged):
				changed = err
			case err != nil:
				failed = err
			}
		})
	}
	all.Wait()
	if failed != nil {
		return failed
	}
	return changed
}

func (r *Registry) makeOne(ctx context.Context, o op) error {
	if o.Deleted {
		return r.store.Delete(ctx, o.Key, o.Base)
	}
	_, err := r.store.Put(ctx, o.Key, []byte(o.Value), o.Base)
	return err
}

// crossOut says that a bundle is done, or given up, and waits for that to come back: everything
// that was made before has come then.
func (r *Registry) crossOut(ctx context.Context, h bundleHead) error {
	revision, err := r.store.Put(ctx, keyBundle, mustJSON(bundleHead{Begun: h.Begun, Done: true}), h.revision)
	if err != nil && !errors.Is(err, store.ErrChanged) { // changed: somebody else has done so
		return err
	}
	for i := range h.Parts {
		if err := r.store.Delete(ctx, partKey(i), store.Any); err != nil {
			r.log.Warn("a part of an import stays behind", slog.Any("error", err)) // the next one writes over it
		}
	}
	return r.until(ctx, func(s *State) bool { return s.at >= revision && s.bundle.revision > h.revision })
}

// Resume goes on with an import that a house has left when it died. Of several who do that at the
// same time none is in another's way.
func (r *Registry) Resume(ctx context.Context) error {
	s := r.State()
	h := s.bundle
	switch {
	case !h.pending():
		return nil
	case !h.Ready && r.opts.Now().Sub(h.seen) > discardAfter:
		return r.crossOut(ctx, h) // nobody was told that it would be done
	case !h.Ready:
		return nil
	}
	packed := bytes.Clone(h.Ops)
	for i := range h.Parts {
		packed = append(packed, s.parts[i]...)
	}
	ops, err := unpack(packed)
	if err != nil {
		r.log.Error("an import that was not finished cannot be read; it is given up", slog.Any("error", err))
		return r.crossOut(ctx, h)
	}
	if err := r.make(ctx, ops); err != nil && !errors.Is(err, store.ErrChanged) {
		return fmt.Errorf("going on with an import: %w", err)
	}
	r.log.Info("an import that was not finished is done now", slog.Int("changes", len(ops)), slog.Time("begun", h.Begun))
	return r.crossOut(ctx, h)
}

// Orphaned tells whether there is an import that nobody goes on with.
func (r *Registry) Orphaned() bool {
	h := r.State().bundle
	return h.pending() && r.opts.Now().Sub(h.seen) > orphanAfter && len(r.bundling) == 0
}
