package access

import (
	"context"
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
	Max    int              // addresses remembered; default 8192
	Queue  int              // attempts of an address that may wait for their turn; default 512
	Now    func() time.Time // default time.Now
}

// Guard slows down who guesses passwords, tokens and signatures, by address; an IPv6
// /64 is one address.
//
// An address that has to wait is not held: it is told for how long, and the caller
// answers 429 with Retry-After. Attempts of one address that come at once are judged a
// few at a time, since a thousand of them must gain nothing over one after the other; the
// rest take their turn, and most of a school that logs in at nine is let in. So
//
//	wait := g.Begin(ctx, addr)   // more than 0: refuse
//	look whether the credentials are right
//	g.Right(addr), g.Wrong(addr), or g.Withdraw(addr) when that was not found out
//
// Where looking takes no time, Begin takes none either. Requests without any credentials
// are no attempts. The table is bounded; when it is full, addresses with few wrong
// attempts are forgotten before those with many, so that filling it up frees nobody.
//
// Who is right is forgiven what was held against his address. So give every place, and
// every kind of secret, a Guard of its own: to know one must not help to guess another.
// Methods may be called from any goroutine. A nil Guard lets everyone try.
type Guard struct {
	opts GuardOptions

	mu    sync.Mutex
	table map[netip.Prefix]*suspect
}

type suspect struct {
	wrong   int           // attempts
	pending int           // attempts that are not judged yet
	waiting int           // attempts that have not begun
	free    time.Time     // when the next one may begin
	last    time.Time     // when something was last heard of the address
	turn    chan struct{} // closed when somebody waiting may look again; nil while nobody waits
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
		o.Max = 8192
	}
	if o.Queue <= 0 {
		o.Queue = 512
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Guard{opts: o, table: map[netip.Prefix]*suspect{}}
}

// Begin waits for an attempt's turn, until ctx is done, and returns 0 when it may be
// made; else how long the address has to wait before its next one, which refused attempts
// do not make longer. An invalid addr never waits.
func (g *Guard) Begin(ctx context.Context, addr netip.Addr) (wait time.Duration) {
	key := customer(addr)
	if g == nil || !key.IsValid() {
		return 0
	}
	for {
		wait, turn := g.try(key)
		if turn == nil {
			return wait
		}
		select {
		case <-turn:
		case <-ctx.Done():
		}
		g.leaveQueue(key)
		if ctx.Err() != nil {
			return g.opts.First
		}
	}
}

// try begins an attempt, or returns how long to wait, or what to wait for.
func (g *Guard) try(key netip.Prefix) (time.Duration, <-chan struct{}) {
	now := g.opts.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.table[key]
	if s != nil && s.pending == 0 && now.Sub(s.last) > g.opts.Forget {
		delete(g.table, key)
		s = nil
	}
	if s == nil {
		g.makeRoom(now)
		s = &suspect{}
		g.table[key] = s
	}
	s.last = now
	switch {
	case s.free.After(now):
		return s.free.Sub(now), nil
	case s.pending == 0 || s.wrong+s.pending < g.opts.Free:
		s.pending++
		return 0, nil
	case s.waiting >= g.opts.Queue:
		return g.opts.First, nil
	}
	if s.turn == nil {
		s.turn = make(chan struct{})
	}
	s.waiting++
	return 0, s.turn
}

func (g *Guard) leaveQueue(key netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.table[key]; s != nil && s.waiting > 0 {
		s.waiting--
	}
}

// Right ends an attempt whose credentials were right, and forgives the address.
func (g *Guard) Right(addr netip.Addr) {
	g.judge(addr, func(s *suspect) { s.wrong, s.free = 0, time.Time{} })
}

// Wrong ends an attempt whose credentials were wrong.
func (g *Guard) Wrong(addr netip.Addr) {
	g.judge(addr, func(s *suspect) {
		s.wrong++
		s.free = s.last.Add(g.pause(s.wrong))
	})
}

// Withdraw ends an attempt of which it was not found out whether it was right.
func (g *Guard) Withdraw(addr netip.Addr) { g.judge(addr, func(*suspect) {}) }

func (g *Guard) judge(addr netip.Addr, verdict func(*suspect)) {
	key := customer(addr)
	if g == nil || !key.IsValid() {
		return
	}
	now := g.opts.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.table[key]
	if s == nil { // pushed out by others meanwhile
		g.makeRoom(now)
		s = &suspect{pending: 1}
		g.table[key] = s
	}
	s.pending, s.last = max(s.pending-1, 0), now
	verdict(s)
	s.wake()
	if s.wrong == 0 && s.pending == 0 {
		delete(g.table, key)
	}
}

// wake lets those who wait look again.
func (s *suspect) wake() {
	if s.turn != nil {
		close(s.turn)
		s.turn = nil
	}
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
			least, of = key, s
			break
		}
		if of == nil || s.wrong < of.wrong || s.wrong == of.wrong && s.last.Before(of.last) {
			least, of = key, s
		}
		if looked++; looked == sample {
			break
		}
	}
	of.wake()
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
