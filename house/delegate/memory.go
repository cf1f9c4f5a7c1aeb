package delegate

import (
	"sync"
	"time"
)

// remembered is how long a viewer is sent to the same pump again, counted from the last time.
const remembered = 75 // seconds

// memory knows whom the viewers of the last minute were sent to. Its size is fixed: if it is full, the oldest are
// forgotten, and are sent where the hash says, which is mostly the same.
type memory struct {
	stripes [64]sync.Mutex
	sets    [][ways]memo
	mask    uint64
}

const ways = 4

// memo is one viewer of one stream. A key of 0 is an empty place.
type memo struct {
	key  uint64
	seat uint32
	at   uint32 // seconds since 1970: of the last time
	held uint32 // places that are kept for him, because he has asked but not taken
	made uint32 // index it was checked against
}

// newMemory remembers up to n viewers.
func newMemory(n int) *memory {
	size := 64
	for size*ways < n {
		size *= 2
	}
	return &memory{sets: make([][ways]memo, size), mask: uint64(size - 1)} //nolint:gosec // is positive
}

// lock locks the viewer's set and returns it.
func (m *memory) lock(key uint64) (*[ways]memo, *sync.Mutex) {
	i := key & m.mask
	mu := &m.stripes[i%uint64(len(m.stripes))]
	mu.Lock()
	return &m.sets[i], mu
}

// find returns the viewer's memo if it is good still. The set is locked.
func find(set *[ways]memo, key uint64, now uint32) *memo {
	for i := range set {
		if e := &set[i]; e.key == key {
			if now-e.at > remembered && now > e.at {
				return nil
			}
			return e
		}
	}
	return nil
}

// place returns a memo for a viewer who has none: his outdated one, an empty one, or the oldest. The set is locked.
func place(set *[ways]memo, key uint64) *memo {
	best := &set[0]
	for i := range set {
		e := &set[i]
		if e.key == key {
			best = e
			break
		}
		if e.at < best.at {
			best = e
		}
	}
	*best = memo{key: key}
	return best
}

func seconds(now int64) uint32 { return uint32(now / int64(time.Second)) } //nolint:gosec // until 2106
