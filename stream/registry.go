package stream

import (
	"fmt"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
)

// Registry finds streams by path, without case. Lookup takes no lock; the others may
// be called from any goroutine.
type Registry struct {
	mu      sync.Mutex // orders changes
	streams atomic.Pointer[map[string]*Stream]
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry {
	r := &Registry{}
	r.streams.Store(&map[string]*Stream{})
	return r
}

// Lookup returns the stream with a path, or nil.
func (r *Registry) Lookup(path string) *Stream {
	return (*r.streams.Load())[strings.ToLower(path)]
}

// Add enters a stream; it fails when the path is taken.
func (r *Registry) Add(s *Stream) error {
	return r.edit(func(m map[string]*Stream) error {
		key := strings.ToLower(s.Path())
		if m[key] != nil {
			return fmt.Errorf("stream %s exists already", s.Path())
		}
		m[key] = s
		return nil
	})
}

// Remove takes a stream out; viewers who have it keep it.
func (r *Registry) Remove(s *Stream) {
	_ = r.edit(func(m map[string]*Stream) error {
		if key := strings.ToLower(s.Path()); m[key] == s {
			delete(m, key)
		}
		return nil
	})
}

func (r *Registry) edit(f func(map[string]*Stream) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := *r.streams.Load()
	m := make(map[string]*Stream, len(old)+1)
	for k, v := range old {
		m[k] = v
	}
	if err := f(m); err != nil {
		return err
	}
	r.streams.Store(&m)
	return nil
}

// All returns the streams in order of their paths.
func (r *Registry) All() []*Stream {
	m := *r.streams.Load()
	list := make([]*Stream, 0, len(m))
	for _, s := range m {
		list = append(list, s)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Path() < list[j].Path() })
	return list
}
