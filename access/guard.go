package access

import (
	"net/netip"
	"sync"
	"time"
)

// GuardOptions tune [NewGuard]; zero fields take the defaults.
type GuardOptions struct {
	Free   int              // wrong attempts of an address that cost no time; default 3
	First  time.Duration    // wait after the next one, which doubles with each further; default 500 ms
	Most   time.Duration    // longest wait; default 30 s
	Forget time.Duration    // after which an address begins anew; default 15 minutes
	Max    int              // addresses remembered; default 65536
	Now    func() time.Time // default time.Now
}

// Guard slows down who guesses passwords and tokens, by address; an IPv6 /64 is one
// address. It never holds anybody up: it says how long an address has to wait, and the
// caller answers 429 with Retry-After, so that no goroutine and no event loop waits.
//
// An attempt counts as wrong from its beginning, and is taken back when it turns out
// right: a thousand attempts at once gain nothing over one after the other. So
//
//	if wait := g.Begin(addr); wait > 0 { refuse }
//	look whether the credentials are right
//	g.Passed(addr), when they are; g.Withdraw(addr), when that was not found out
//
// Requests without any credentials are no attempts. The table is bounded; when it is
// full, addresses with few wrong attempts are forgotten before those with many, so that
// filling it up frees nobody. Give places apart (pushing, watching) a Guard each: being
// let in at one says nothing about the other. Methods may be called from any goroutine
// and take a mutex for a few map operations.
type Guard struct {
	opts GuardOptions

	mu    sync.Mutex
	table map[netip.Prefix]*suspect
}

type suspect struct {
	wrong int       // attempts not taken back
	free  time.Time // when the next one may begin
	last  time.Time // when the last one began
}

// NewGuard returns a Guard that suspects nobody.
func NewGuard(o GuardOptions) *Guard {
	if o.Free <= 0 {
		o.Free = 3
	}
	if o.First <= 0 {
		o.First = 500 * time.Millisecond
	}
	if o.Most <= 0 {
		o.Most = 30 * time.Second
	}
	if o.Forget <= 0 {
		o.Forget = 15 * time.Minute
	}
	if o.Max <= 0 {
		o.Max = 1 << 16
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Guard{opts: o, table: map[netip.Prefix]*suspect{}}
}

// Begin notes an attempt of addr and returns 0, or returns how long addr has to wait
// until its next one. Refused attempts do not make the wait longer. A nil Guard, and an
// invalid addr, never wait.
func (g *Guard) Begin(addr netip.Addr) (wait time.Duration) {
	key := customer(addr)
	if g == nil || !key.IsValid() {
		return 0
	}
	now := g.opts.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.table[key]
	if s != nil && now.Sub(s.last) > g.opts.Forget {
		delete(g.table, key)
		s = nil
	}
	if s == nil {
		g.makeRoom(now)
		s = &suspect{}
		g.table[key] = s
	}
	if wait := s.free.Sub(now); wait > 0 {
		return wait
	}
	s.wrong++
	s.last = now
	s.free = now.Add(g.pause(s.wrong))
	return 0
}

// pause is the wait after so many wrong attempts.
func (g *Guard) pause(wrong int) time.Duration {
	if wrong < g.opts.Free+1 {
		return 0
	}
	d := g.opts.First
	for range wrong - g.opts.Free - 1 {
		if d *= 2; d >= g.opts.Most {
			break
		}
	}
	return min(d, g.opts.Most)
}

// Passed forgets what is held against addr: its credentials were right.
func (g *Guard) Passed(addr netip.Addr) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.table, customer(addr))
}

// Withdraw takes one attempt back: it was not found out whether it was right.
func (g *Guard) Withdraw(addr netip.Addr) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	key := customer(addr)
	s := g.table[key]
	if s == nil {
		return
	}
	if s.wrong--; s.wrong <= 0 {
		delete(g.table, key)
		return
	}
	s.free = s.last.Add(g.pause(s.wrong))
}

// sample is how many addresses are looked at to find one to forget.
const sample = 16

// makeRoom forgets an address when the table is full: one whose time is over, else the
// one with the fewest wrong attempts of a few, the oldest of equals. To be forgotten, an
// address with many would have to fill the table with others that have as many.
func (g *Guard) makeRoom(now time.Time) {
	if len(g.table) < g.opts.Max {
		return
	}
	var least netip.Prefix
	var of *suspect
	looked := 0
	for key, s := range g.table { // begins anywhere
		if now.Sub(s.last) > g.opts.Forget {
			least = key
			break
		}
		if of == nil || s.wrong < of.wrong || s.wrong == of.wrong && s.last.Before(of.last) {
			least, of = key, s
		}
		if looked++; looked == sample {
			break
		}
	}
	delete(g.table, least)
}

// Suspects returns how many addresses are remembered.
func (g *Guard) Suspects() int {
	if g == nil {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.table)
}
