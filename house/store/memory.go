package store

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Memory is a store for tests: it forgets everything, and it can be told to fail.
type Memory struct {
	now func() time.Time

	mu       sync.Mutex
	entries  map[string]Entry
	revision uint64
	watches  map[*memoryWatch]struct{}
	leases   map[string]memoryLease
	fault    error
	closed   bool
	bus      memoryBus
}

type memoryLease struct {
	value   []byte
	until   time.Time
	holding uint64 // by whom: a number of its own for every holder
}

// NewMemory returns an empty store. now may be nil.
func NewMemory(now func() time.Time) *Memory {
	if now == nil {
		now = time.Now
	}
	return &Memory{now: now, entries: map[string]Entry{}, watches: map[*memoryWatch]struct{}{}, leases: map[string]memoryLease{}}
}

// Fail makes every change fail with err from now on; nil ends that.
func (m *Memory) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = err
}

// Get returns an entry.
func (m *Memory) Get(ctx context.Context, key string) (Entry, error) {
	if err := checkKey(key); err != nil {
		return Entry{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return Entry{}, fmt.Errorf("getting %s: %w", key, ErrUnavailable)
	}
	e, ok := m.entries[key]
	if !ok {
		return Entry{}, fmt.Errorf("getting %s: %w", key, ErrNotFound)
	}
	return e, ctx.Err()
}

// Put writes an entry.
func (m *Memory) Put(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if err := checkPut(key, value); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.changeable(ctx, "putting", key, revision); err != nil {
		return 0, err
	}
	m.revision++
	e := Entry{Key: key, Value: bytes.Clone(value), Revision: m.revision}
	m.entries[key] = e
	m.tell(Change{Entry: e})
	return m.revision, nil
}

// Delete removes an entry.
func (m *Memory) Delete(ctx context.Context, key string, revision uint64) error {
	if err := checkKey(key); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.changeable(ctx, "deleting", key, revision); err != nil {
		return err
	}
	if _, ok := m.entries[key]; !ok {
		return nil
	}
	delete(m.entries, key)
	m.revision++
	m.tell(Change{Entry: Entry{Key: key, Revision: m.revision}, Deleted: true})
	return nil
}

func (m *Memory) changeable(ctx context.Context, doing, key string, revision uint64) error {
	switch e := m.entries[key]; {
	case ctx.Err() != nil:
		return fmt.Errorf("%s %s: %w", doing, key, ctx.Err())
	case m.closed:
		return fmt.Errorf("%s %s: %w", doing, key, ErrUnavailable)
	case m.fault != nil:
		return fmt.Errorf("%s %s: %w", doing, key, m.fault)
	case revision != Any && revision != e.Revision:
		return fmt.Errorf("%s %s: %w", doing, key, ErrChanged)
	}
	return nil
}

// memoryWatch holds what was not taken yet, without a bound: tests are small.
type memoryWatch struct {
	prefix string
	queue  []Change
	more   chan struct{}
}

func (m *Memory) tell(c Change) {
	for w := range m.watches {
		if strings.HasPrefix(c.Key, w.prefix) {
			w.push(c)
		}
	}
}

func (w *memoryWatch) push(c Change) {
	w.queue = append(w.queue, c)
	select {
	case w.more <- struct{}{}:
	default:
	}
}

// Watch yields entries and changes.
func (m *Memory) Watch(ctx context.Context, prefix string) (*Watch, error) {
	if prefix != "" && !strings.HasSuffix(prefix, ".") {
		return nil, fmt.Errorf("watching %q: %w", prefix, ErrKey)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, fmt.Errorf("watching: %w", ErrUnavailable)
	}
	w := &memoryWatch{prefix: prefix, more: make(chan struct{}, 1)}
	list := slices.SortedFunc(maps.Values(m.entries), func(a, b Entry) int { return int(a.Revision) - int(b.Revision) })
	for _, e := range list {
		if strings.HasPrefix(e.Key, prefix) {
			w.push(Change{Entry: e})
		}
	}
	w.push(Change{Whole: true})
	m.watches[w] = struct{}{}
	c := make(chan Change)
	go m.pump(ctx, w, c)
	return &Watch{C: c}, nil
}

func (m *Memory) pump(ctx context.Context, w *memoryWatch, c chan<- Change) {
	defer close(c)
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.watches, w)
	}()
	for {
		m.mu.Lock()
		list, closed := w.queue, m.closed
		w.queue = nil
		m.mu.Unlock()
		for _, x := range list {
			select {
			case c <- x:
			case <-ctx.Done():
				return
			}
		}
		if closed && len(list) == 0 {
			return
		}
		select {
		case <-w.more:
		case <-ctx.Done():
			return
		}
	}
}

type heldInMemory struct {
	m       *Memory
	name    string
	holding uint64
}

// Acquire takes a lease.
func (m *Memory) Acquire(ctx context.Context, name string, value []byte) (Lease, error) {
	if err := checkPut(name, value); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.changeable(ctx, "acquiring", name, Any); err != nil {
		return nil, err
	}
	if l, held := m.leases[name]; held && m.now().Before(l.until) {
		return nil, fmt.Errorf("acquiring %s: %w", name, ErrHeld)
	}
	m.revision++
	m.leases[name] = memoryLease{bytes.Clone(value), m.now().Add(LeaseFor), m.revision}
	return &heldInMemory{m, name, m.revision}, nil
}

// Leases returns those that are held.
func (m *Memory) Leases(context.Context) (map[string][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := map[string][]byte{}
	for name, l := range m.leases {
		if m.now().Before(l.until) {
			list[name] = l.value
		}
	}
	return list, nil
}

func (h *heldInMemory) mine() error {
	l, held := h.m.leases[h.name]
	if !held || l.holding != h.holding || !h.m.now().Before(l.until) {
		return fmt.Errorf("keeping %s: %w", h.name, ErrHeld)
	}
	return h.m.fault
}

// Renew lets it hold on.
func (h *heldInMemory) Renew(context.Context) error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.mine(); err != nil {
		return err
	}
	l := h.m.leases[h.name]
	l.until = h.m.now().Add(LeaseFor)
	h.m.leases[h.name] = l
	return nil
}

// Release gives it back.
func (h *heldInMemory) Release(context.Context) error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.mine(); err != nil {
		return err
	}
	delete(h.m.leases, h.name)
	return nil
}

// Bus returns a bus within this program.
func (m *Memory) Bus() Bus { return &m.bus }

// Health returns what [Memory.Fail] was told.
func (m *Memory) Health() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fault
}

// Close ends all watches.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	for w := range m.watches {
		select {
		case w.more <- struct{}{}:
		default:
		}
	}
	m.bus.close()
	return nil
}
