package simulate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// arrivals are viewers on their way to a pump, by the moment they come.
type arrivals struct {
	mu    sync.Mutex
	waves map[int64][]arrival
	n     atomic.Int64
}

type arrival struct {
	to      *pump
	client  string
	address string
}

// waveLong is how exactly arrivals are timed.
const waveLong = 10 * time.Millisecond

func (a *arrivals) add(at time.Time, v arrival) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waves == nil {
		a.waves = map[int64][]arrival{}
	}
	k := at.UnixNano() / int64(waveLong)
	a.waves[k] = append(a.waves[k], v)
	a.n.Add(1)
}

// come lets those arrive whose time has come.
func (a *arrivals) come(now time.Time) {
	var due [][]arrival
	a.mu.Lock()
	last := now.UnixNano() / int64(waveLong)
	for k, w := range a.waves {
		if k <= last {
			due = append(due, w)
			delete(a.waves, k)
		}
	}
	a.mu.Unlock()
	for _, w := range due {
		for _, v := range w {
			v.to.arrive(v.client, v.address)
		}
		a.n.Add(-int64(len(w)))
	}
}

// asker asks for viewers; each goroutine has one.
type asker struct {
	s       *simulation
	rng     *rand.Rand
	latency *hdrhistogram.Histogram // ns, of those over HTTP
	handler *hdrhistogram.Histogram // ns, of the others
	none    int64
	http    int64
}

func newAsker(s *simulation, seed uint64) *asker {
	rng := rand.New(rand.NewPCG(seed, 3)) // #nosec G404 -- the same viewers every time
	return &asker{s: s, rng: rng, latency: hdrhistogram.New(1000, 60e9, 3), handler: hdrhistogram.New(100, 60e9, 3)}
}

// ask sends one viewer, and lets him be on his way.
func (a *asker) ask(ctx context.Context, from netip.Addr, client string, overHTTP bool) error {
	var to string
	var err error
	if overHTTP {
		to, err = a.overHTTP(ctx, from, client)
	} else {
		to = a.inProcess(from, client)
	}
	if err != nil {
		return err
	}
	if to == "" {
		a.none++
		return nil
	}
	base, _, _ := strings.Cut(strings.TrimPrefix(to, "http://"), "/")
	p := a.s.byURL["http://"+base]
	if p == nil {
		return fmt.Errorf("a viewer was sent to %q", to)
	}
	atomic.AddInt64(&p.assigned, 1)
	if a.rng.IntN(50) == 0 {
		return nil // he does not come
	}
	way := 20*time.Millisecond + time.Duration(a.rng.Int64N(int64(1480*time.Millisecond)))
	a.s.inFlight.add(time.Now().Add(way), arrival{p, client, from.String()})
	return nil
}

const playerAgent = "NSPlayer/12.0.7601.17514"

func (a *asker) overHTTP(ctx context.Context, from netip.Addr, client string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.s.base+"/streams/"+streamPath+"?id="+client, nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("User-Agent", "simulated") // a player's connection would be closed after each answer
	r.Header.Set("X-Forwarded-For", from.String())
	began := time.Now()
	resp, err := a.s.client.Do(r)
	if err != nil {
		return "", err
	}
	_ = a.latency.RecordValue(time.Since(began).Nanoseconds())
	_ = resp.Body.Close()
	a.http++
	if resp.StatusCode != http.StatusFound && resp.StatusCode != http.StatusServiceUnavailable {
		return "", fmt.Errorf("a viewer was answered %d", resp.StatusCode)
	}
	return resp.Header.Get("Location"), nil
}

func (a *asker) inProcess(from netip.Addr, client string) string {
	r := &http.Request{
		Method: http.MethodGet, URL: &url.URL{Path: "/streams/" + streamPath, RawQuery: "id=" + client}, Proto: "HTTP/1.0", ProtoMajor: 1,
		Header: http.Header{"User-Agent": {playerAgent}, "Pragma": {"no-cache,rate=1.000", "xPlayStrm=1"}}, RemoteAddr: netip.AddrPortFrom(from, 50_000).String(), Body: http.NoBody,
	}
	w := answer{}
	began := time.Now()
	a.s.house.Delegator().ServeHTTP(w, r)
	_ = a.handler.RecordValue(time.Since(began).Nanoseconds())
	return w.Header().Get("Location")
}

// answer keeps the header of what a handler answers.
type answer http.Header

func (a answer) Header() http.Header         { return http.Header(a) }
func (a answer) Write(b []byte) (int, error) { return len(b), nil }
func (a answer) WriteHeader(int)             {}

// somewhere is an address in one of the regions.
func (s *simulation) somewhere(rng *rand.Rand) netip.Addr {
	region := rng.IntN(s.opts.Pumps / regionSize)
	if rng.IntN(4) == 0 {
		return netip.AddrFrom16([16]byte{0x20, 1, 0x0D, 0xB8, byte(region >> 8), byte(region), 14: byte(rng.IntN(256)), 15: byte(rng.IntN(256))})
	}
	return netip.AddrFrom4([4]byte{byte(10 + region>>8), byte(region), byte(rng.IntN(256)), byte(rng.IntN(256))})
}

// crowd sends n viewers at a rate, by several askers at once.
func (s *simulation) crowd(ctx context.Context, n, rate int, share float64, from func(*rand.Rand) netip.Addr, prefix string) ([]*asker, time.Duration, error) {
	const askers = 4
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	list := make([]*asker, askers)
	for k := range askers {
		list[k] = newAsker(s, uint64(k+1))
		all.Go(func() {
			a := list[k]
			for {
				i := next.Add(1)
				if i > int64(n) || ctx.Err() != nil {
					return
				}
				if rate > 0 {
					if ahead := time.Duration(float64(i)/float64(rate)*float64(time.Second)) - time.Since(began); ahead > 2*time.Millisecond {
						time.Sleep(ahead)
					}
				}
				if err := a.ask(ctx, from(a.rng), fmt.Sprint(prefix, i), a.rng.Float64() < share); err != nil && ctx.Err() == nil {
					cancel(err)
					return
				}
			}
		})
	}
	stop := make(chan struct{})
	come := make(chan struct{})
	go func() {
		defer close(come)
		s.arrive(stop, &next, n)
	}()
	all.Wait()
	took := time.Since(began)
	close(stop)
	<-come
	if err := context.Cause(ctx); err != nil {
		return nil, 0, err
	}
	return list, took, nil
}

// arrive lets viewers come until nobody is on the way any more.
func (s *simulation) arrive(stop <-chan struct{}, next *atomic.Int64, n int) {
	tick := time.NewTicker(waveLong)
	defer tick.Stop()
	ended, shown := false, time.Now()
	for !ended || s.inFlight.n.Load() > 0 {
		select {
		case <-stop:
			ended, stop = true, nil
		case now := <-tick.C:
			s.inFlight.come(now)
			if now.Sub(shown) > 10*time.Second {
				shown = now
				s.say("%d of %d viewers have asked", min(next.Load(), int64(n)), n)
			}
		}
	}
}

// delegate sends all viewers.
func (s *simulation) delegate(ctx context.Context, r *Report) error {
	s.say("%d viewers come, %s", s.opts.Viewers, rateText(s.opts.Rate))
	cpu := processorTime()
	list, took, err := s.crowd(ctx, s.opts.Viewers, s.opts.Rate, s.opts.HTTPViewers, s.somewhere, "v")
	if err != nil {
		return err
	}
	latency, handler := list[0].latency, list[0].handler
	for i, a := range list {
		if i > 0 {
			latency.Merge(a.latency)
			handler.Merge(a.handler)
		}
		r.Refused += a.none
		r.HTTPViewers += a.http
	}
	r.Rate = float64(s.opts.Viewers) / took.Seconds()
	r.CPU = float64(processorTime()-cpu) / float64(took)
	r.Redirect50, r.Redirect99 = time.Duration(latency.ValueAtQuantile(50)), time.Duration(latency.ValueAtQuantile(99))
	r.Handler50, r.Handler99 = time.Duration(handler.ValueAtQuantile(50)), time.Duration(handler.ValueAtQuantile(99))
	return nil
}

func rateText(rate int) string {
	if rate == 0 {
		return "as fast as they can"
	}
	return fmt.Sprintf("%d a second", rate)
}

// burst sends a crowd to one small pump within one second.
func (s *simulation) burst(ctx context.Context, r *Report) error {
	if s.opts.Burst == 0 {
		return nil
	}
	s.say("%d viewers come within a second to a pump of %d", s.opts.Burst, burstLimit)
	from := func(rng *rand.Rand) netip.Addr {
		return netip.AddrFrom4([4]byte{198, 18 + byte(rng.IntN(2)), byte(rng.IntN(256)), byte(rng.IntN(256))})
	}
	if _, _, err := s.crowd(ctx, s.opts.Burst, s.opts.Burst, s.opts.HTTPViewers, from, "b"); err != nil {
		return err
	}
	p := s.byURL[pumpURL(burstPump)]
	p.mu.Lock()
	defer p.mu.Unlock()
	r.Burst, r.BurstCame, r.BurstOver = s.opts.Burst, p.viewers, p.refused
	return nil
}
