package web

import (
	"net/http"
	"net/netip"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// How many may follow the fleet at once: each costs a little every second. One user, token or
// address does not take the places of all.
const (
	maxLive   = 256
	maxLiveOf = 64
)

// followers counts who follows the fleet.
type followers struct {
	mu   sync.Mutex
	all  int
	each map[any]int // by whose, and by netip.Addr; those that have some
}

// whose is a user or a token.
type whose struct{ kind, name string }

// enter takes a place, which leave gives back; or says why there is none.
func (f *followers) enter(keys ...any) (leave func(), why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all >= maxLive {
		return nil, "too many follow the fleet already"
	}
	for _, k := range keys {
		if f.each[k] >= maxLiveOf {
			if _, ok := k.(netip.Addr); ok {
				return nil, "too many follow the fleet from this address already"
			}
			return nil, "too many follow the fleet with this log-in already"
		}
	}
	f.all++
	for _, k := range keys {
		f.each[k]++
	}
	return func() { f.leave(keys) }, ""
}

func (f *followers) leave(keys []any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all--
	for _, k := range keys {
		if f.each[k]--; f.each[k] == 0 {
			delete(f.each, k)
		}
	}
}

// fewEnough bounds how many follow at once.
func (s *site) fewEnough(a huma.API) func(huma.Context, func(huma.Context)) {
	f := &followers{each: map[any]int{}}
	return func(ctx huma.Context, next func(huma.Context)) {
		r, _ := humago.Unwrap(ctx)
		me := who(ctx.Context())
		leave, why := f.enter(whose{me.Kind, me.Name}, s.network(r))
		if leave == nil {
			ctx.SetHeader("Retry-After", "10")
			_ = huma.WriteErr(a, ctx, http.StatusServiceUnavailable, why)
			return
		}
		defer leave()
		next(ctx)
	}
}

// network is where a request comes from: an address, or an IPv6 /64, which is one place.
func (s *site) network(r *http.Request) netip.Addr {
	a := s.opts.Remote(r)
	if a.Is6() && !a.Is4In6() {
		p, _ := a.WithZone("").Prefix(64)
		return p.Addr()
	}
	return a.Unmap()
}
