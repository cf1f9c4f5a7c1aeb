package access

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"runtime"
	"sync"
	"time"
)

// HasherOptions tune [NewHasher]; zero fields take the defaults.
type HasherOptions struct {
	Concurrent int              // hashes computed at once; default half the processors, at least 1
	Waiting    int              // who may wait for that; default 64
	Patience   time.Duration    // longest wait; default 5 s
	Remember   time.Duration    // how long a password that was right is known; default 5 minutes
	MaxKnown   int              // such passwords remembered at once; default 4096
	Now        func() time.Time // default time.Now
}

// Hasher checks hashed passwords. A hash may cost a second of a processor and 64 MiB,
// so few are computed at once and few wait. Passwords that were right are remembered for
// a while, and who comes with one that is being checked waits for the result: a herd of
// viewers with one password, or a client that sends it with every request, costs one hash.
// What is remembered is an HMAC under a key that never leaves the process.
//
// One Hasher is meant for the whole program: it bounds what all logins together cost.
// Methods may be called from any goroutine.
type Hasher struct {
	opts  HasherOptions
	key   [32]byte
	slots chan struct{} // taken while a hash is computed
	queue chan struct{} // taken by those who compute or wait

	mu      sync.Mutex
	known   map[[sha256.Size]byte]time.Time // until when
	flights map[[sha256.Size]byte]*flight   // being computed: at most what the queue takes
}

// NewHasher returns a Hasher that remembers nothing yet.
func NewHasher(o HasherOptions) *Hasher {
	if o.Concurrent <= 0 {
		o.Concurrent = max(1, runtime.GOMAXPROCS(0)/2)
	}
	if o.Waiting <= 0 {
		o.Waiting = 64
	}
	if o.Patience <= 0 {
		o.Patience = 5 * time.Second
	}
	if o.Remember <= 0 {
		o.Remember = 5 * time.Minute
	}
	if o.MaxKnown <= 0 {
		o.MaxKnown = 4096
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &Hasher{
		opts: o, slots: make(chan struct{}, o.Concurrent), queue: make(chan struct{}, o.Concurrent+o.Waiting),
		known: map[[sha256.Size]byte]time.Time{}, flights: map[[sha256.Size]byte]*flight{},
	}
	rand.Read(h.key[:])
	return h
}

// flight is one check that others with the same credentials wait for.
type flight struct {
	done  chan struct{}
	right bool
	err   error
}

// check tells whether a password is its user's: from memory, from a check of the same
// that is under way, or by computing the hash. [ErrCredentialsBusy] says that there was
// no turn for that.
func (h *Hasher) check(ctx context.Context, u *login, password string) (bool, error) {
	key := h.mac(u, password)
	h.mu.Lock()
	if h.knows(key) {
		h.mu.Unlock()
		return true, nil
	}
	f := h.flights[key]
	if f == nil {
		f = &flight{done: make(chan struct{})}
		h.flights[key] = f
		h.mu.Unlock()
		h.lead(ctx, f, key, u, password)
		return f.right, f.err
	}
	h.mu.Unlock()
	select {
	case <-f.done:
		return f.right, f.err
	case <-ctx.Done():
		return false, ErrCredentialsBusy
	}
}

// lead computes the hash for all who wait for the flight, even if the first of them has
// left.
func (h *Hasher) lead(ctx context.Context, f *flight, key [sha256.Size]byte, u *login, password string) {
	defer func() {
		h.mu.Lock()
		delete(h.flights, key)
		h.mu.Unlock()
		close(f.done)
	}()
	f.right, f.err = h.compute(context.WithoutCancel(ctx), u, password)
	if f.right {
		h.remember(key)
	}
}

// compute computes the hash, in its turn.
func (h *Hasher) compute(ctx context.Context, u *login, password string) (bool, error) {
	select {
	case h.queue <- struct{}{}:
		defer func() { <-h.queue }()
	default:
		return false, ErrCredentialsBusy
	}
	patience := time.NewTimer(h.opts.Patience)
	defer patience.Stop()
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-patience.C:
		return false, ErrCredentialsBusy
	case <-ctx.Done():
		return false, ErrCredentialsBusy
	}
	return u.hash.Matches(password), nil
}

// knows tells whether the password was right lately. The caller holds h.mu.
func (h *Hasher) knows(key [sha256.Size]byte) bool {
	until, known := h.known[key]
	if known && h.opts.Now().After(until) {
		delete(h.known, key)
		return false
	}
	return known
}

func (h *Hasher) remember(key [sha256.Size]byte) {
	now := h.opts.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.known) >= h.opts.MaxKnown {
		for k, until := range h.known {
			if now.After(until) {
				delete(h.known, k)
			}
		}
	}
	for k := range h.known { // any one: it costs its user one hash
		if len(h.known) < h.opts.MaxKnown {
			break
		}
		delete(h.known, k)
	}
	h.known[key] = now.Add(h.opts.Remember)
}

// mac covers the hash as well: a user whose password was changed is not known any more.
func (h *Hasher) mac(u *login, password string) (sum [sha256.Size]byte) {
	m := hmac.New(sha256.New, h.key[:])
	for _, s := range []string{u.name, u.hashed, password} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		m.Write(n[:])
		m.Write([]byte(s))
	}
	m.Sum(sum[:0])
	return sum
}
