package simulate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house"
	"github.com/stream-pump/stream-pump/house/live"
)

// simulation is one that runs.
type simulation struct {
	opts   Options
	house  *house.House
	base   string
	client *http.Client
	pumps  []*pump
	byURL  map[string]*pump
	rng    *rand.Rand
	errs   chan error

	configs sync.Map // pump's id → *fleet.Config in force
	cuts    sync.Map // pump's id → context.CancelFunc that ends it
	waiting sync.WaitGroup

	inFlight arrivals
}

// Run simulates, and returns what came out. It needs some minutes for a million viewers.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &simulation{opts: o, byURL: map[string]*pump{}, errs: make(chan error, 1)}
	s.rng = rand.New(rand.NewPCG(1, 1)) // #nosec G404 -- the same fleet every time
	r := &Report{Pumps: o.Pumps, HTTPPumps: o.HTTPPumps, Viewers: o.Viewers}
	if err := s.open(ctx, r); err != nil {
		return nil, err
	}
	defer s.house.Close()
	beside, stop := context.WithCancel(ctx)
	defer func() {
		stop()
		s.waiting.Wait()
		s.client.CloseIdleConnections()
	}()
	if err := s.start(beside, r); err != nil {
		return nil, err
	}
	for _, part := range []func(context.Context, *Report) error{s.telemetry, s.delegate, s.spread, s.burst, s.death} {
		if err := part(beside, r); err != nil {
			return nil, err
		}
		if err := s.fault(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// fault is what went wrong beside.
func (s *simulation) fault() error {
	select {
	case err := <-s.errs:
		return err
	default:
		return nil
	}
}

func (s *simulation) failed(err error) {
	select {
	case s.errs <- err:
	default: // the first is enough
	}
}

func (s *simulation) say(format string, args ...any) {
	if s.opts.Progress != nil {
		_, _ = fmt.Fprintf(s.opts.Progress, format+"\n", args...) // only shown
	}
}

// open starts the house with a roster.
func (s *simulation) open(ctx context.Context, r *Report) error {
	list, err := roster(&s.opts, s.rng)
	if err != nil {
		return err
	}
	cfg, err := write(s.opts.Dir, list, s.opts.Interval.String())
	if err != nil {
		return err
	}
	for _, e := range list {
		r.Networks += len(e.Networks)
		r.Capacity += e.MaxViewers
	}
	s.say("starting a house with %d pumps and %d networks", len(list), r.Networks)
	began := time.Now()
	if s.house, err = house.Start(ctx, cfg, house.Options{Log: slog.New(slog.DiscardHandler)}); err != nil {
		return err
	}
	r.Start = time.Since(began)
	s.base = "http://" + s.house.Addr().String()
	s.client = &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 5000, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for i, e := range list {
		p := &pump{id: e.ID, limit: int64(e.MaxViewers), boot: fleet.NewBoot(), first: 1, send: s.direct}
		if len(e.Parents) > 0 {
			p.parent = e.Parents[0]
		}
		if i < s.opts.HTTPPumps {
			p.send = nil // set when it has said hello
		}
		s.pumps = append(s.pumps, p)
		s.byURL[e.URL] = p
	}
	return nil
}

// direct is [pump.send] within the process.
func (s *simulation) direct(b *fleet.Batch) (fleet.Receipt, error) {
	r, ok := s.house.Fleet().Apply(b, live.Direct)
	if !ok {
		return r, errors.New("is not on the roster")
	}
	return r, nil
}

// start brings all pumps up, and waits until those that speak HTTP have a configuration.
func (s *simulation) start(ctx context.Context, r *Report) error {
	s.say("%d pumps come over HTTP, %d within the process", s.opts.HTTPPumps, len(s.pumps)-s.opts.HTTPPumps)
	began := time.Now()
	for i, p := range s.pumps {
		if i < s.opts.HTTPPumps {
			continue
		}
		s.live(ctx, p)
	}
	slots := make(chan struct{}, 16)
	for i := range s.opts.HTTPPumps {
		p := s.pumps[i]
		slots <- struct{}{}
		s.waiting.Go(func() {
			defer func() { <-slots }()
			if err := s.connect(ctx, p); err != nil && ctx.Err() == nil {
				s.failed(fmt.Errorf("pump %s says hello: %w", p.id, err))
			}
		})
	}
	err := s.until(ctx, time.Minute, "all pumps to be up and configured", func() bool {
		n := 0
		s.configs.Range(func(any, any) bool { n++; return true })
		return n == s.opts.HTTPPumps && s.up() == len(s.pumps)
	})
	r.Connect = time.Since(began)
	return err
}

func (s *simulation) live(ctx context.Context, p *pump) {
	phase := time.Duration(rand.Int64N(int64(s.opts.Interval))) // #nosec G404 -- spreads pumps, no secret
	s.waiting.Go(func() { p.live(ctx.Done(), s.opts.Interval, phase, s.failed) })
}

// connect says hello over HTTP, and leaves the event stream and telemetry to goroutines.
func (s *simulation) connect(ctx context.Context, p *pump) error {
	l := &line{client: s.client, house: s.base, pump: p}
	if err := l.hello(ctx); err != nil {
		return err
	}
	own, cut := context.WithCancel(ctx)
	p.send = l.send(own)
	s.cuts.Store(p.id, cut)
	opened := make(chan struct{})
	s.waiting.Go(func() {
		defer cut()
		err := l.listen(own, func() { close(opened) }, func(c *fleet.Config) { s.configured(p, c) })
		if own.Err() == nil {
			s.failed(fmt.Errorf("pump %s: its event stream ended: %w", p.id, err))
		}
	})
	select {
	case <-opened:
	case <-own.Done():
		return own.Err()
	}
	s.live(own, p)
	return nil
}

// up is how many pumps deliver the stream, as the house sees it.
func (s *simulation) up() (n int) {
	for _, p := range s.house.Fleet().View().Pumps {
		if p.Delivers(streamPath) {
			n++
		}
	}
	return n
}

// until waits for something.
func (s *simulation) until(ctx context.Context, within time.Duration, what string, done func() bool) error {
	for deadline := time.Now().Add(within); !done(); {
		if err := s.fault(); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %v in vain for %s", within, what)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
	return nil
}

// telemetry measures what a quiet fleet costs, both ends together.
func (s *simulation) telemetry(ctx context.Context, r *Report) error {
	const long = 5 * time.Second
	s.say("nobody watches: telemetry alone for %v", long)
	before, began := processorTime(), time.Now()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(long):
	}
	r.Telemetry = float64(processorTime()-before) / float64(time.Since(began))
	r.IdleMemory = memory()
	return nil
}

// memory is the heap in use after a collection.
func memory() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) //nolint:gosec // far below
}

// death ends a pump in the middle of the tree, and waits until all its children that speak HTTP have another parent.
func (s *simulation) death(ctx context.Context, r *Report) error {
	const victim = 1
	var children []string
	for i := range s.opts.HTTPPumps {
		if p := parents(i); len(p) > 0 && p[0] == pumpID(victim) {
			children = append(children, pumpID(i))
		}
	}
	if len(children) == 0 {
		return nil
	}
	names := func() (n int) {
		for _, id := range children {
			c, ok := s.configs.Load(id)
			if !ok {
				continue
			}
			for _, parent := range c.(*fleet.Config).Parents {
				if parent == pumpID(victim) {
					n++
				}
			}
		}
		return n
	}
	if err := s.until(ctx, 20*time.Second, "the children to have their parent", func() bool { return names() == len(children) }); err != nil {
		return err
	}
	s.say("%s dies, parent of %d pumps", pumpID(victim), len(children))
	cut, _ := s.cuts.Load(pumpID(victim))
	began := time.Now()
	cut.(context.CancelFunc)()
	err := s.until(ctx, 20*time.Second, "the children to have another parent", func() bool { return names() == 0 })
	r.Repair, r.Orphans = time.Since(began), len(children)
	return err
}

// configured notes what a pump has to do now.
func (s *simulation) configured(p *pump, c *fleet.Config) { s.configs.Store(p.id, c) }
