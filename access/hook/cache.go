package hook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// maxKept is how many answers are kept.
const maxKept = 8192

// cache keeps answers: refusals for who tries again, and permissions for the viewing that
// they were given for. Its keys are keyed hashes, since a query may hold secrets.
type cache struct {
	now    func() time.Time
	secret [32]byte

	mu   sync.Mutex
	kept map[cacheKey]entry
}

type cacheKey [sha256.Size]byte

type entry struct {
	verdict
	until time.Time
}

func newCache(now func() time.Time) *cache {
	c := &cache{now: now, kept: map[cacheKey]entry{}}
	rand.Read(c.secret[:])
	return c
}

// key covers all that the program may decide by.
func (c *cache) key(e Event) (key cacheKey) {
	h := hmac.New(sha256.New, c.secret[:])
	for _, s := range []string{e.Action, e.Stream, e.ID, e.Address.String(), e.User, e.By, e.UserAgent, e.Query} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	h.Sum(key[:0])
	return key
}

// take returns what is kept; a permission is used up by the final question.
func (c *cache) take(key cacheKey, final bool) (verdict, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, there := c.kept[key]
	if !there || c.now().After(e.until) {
		delete(c.kept, key)
		return verdict{}, false
	}
	if e.allowed && final {
		delete(c.kept, key)
	}
	return e.verdict, true
}

func (c *cache) keep(key cacheKey, v verdict, d time.Duration) {
	if d <= 0 {
		return
	}
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.kept) >= maxKept {
		c.makeRoom(now)
	}
	c.kept[key] = entry{v, now.Add(d)}
}

// makeRoom forgets what is old among a few answers, and at least one: that costs one
// question more.
func (c *cache) makeRoom(now time.Time) {
	looked := 0
	for k, e := range c.kept { // begins anywhere
		if looked == 0 || now.After(e.until) {
			delete(c.kept, k)
		}
		if looked++; looked == 16 {
			return
		}
	}
}

func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.kept)
}
