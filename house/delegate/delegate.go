package delegate

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stream-pump/stream-pump/house/live"
	"github.com/stream-pump/stream-pump/house/relay"
)

// Options are what a [Delegator] needs. Fleet must be set.
type Options struct {
	Fleet *live.Fleet
	Log   *slog.Logger // nil discards

	// Remote tells who sent a request, behind proxies that are trusted. nil takes the connection's other end.
	Remote func(*http.Request) netip.Addr

	IDParameter string // of the query, with a viewer's outside id; default id
	Settings    Settings

	// Relay serves viewers through the house whose players follow no redirect; nil: nobody does.
	Relay *relay.Relay
	House string // name of this house

	// Addresses returns where the house itself is: a pump that serves them is the best one to take a stream from. nil
	// asks the operating system.
	Addresses func() []netip.Addr

	Bus      Bus              // between houses; nil: there is one
	Remember int              // viewers whose pump is remembered for a minute; default 2^20, of 24 bytes each
	Now      func() time.Time // default time.Now
}

// Settings can be changed while viewers come.
type Settings struct {
	Fallback string // where viewers go whom no pump can take; empty: they get 503
}

// Figures are counts since the start.
type Figures struct {
	ToHTTP, ToMMSH int64 // redirects
	Lists          int64 // ASX
	Relayed        int64 // requests that were handed to the house's own pump
	Relaying       int64 // now
	RelayBPS       int64 // of those, by their streams' rates
	RelayFull      int64 // viewers refused because the relay was full
	Full           int64 // viewers for whom no pump had room
	NotLive        int64 // whose stream no pump of theirs delivered
	NoNetwork      int64 // whose address no pump serves
	Fallback       int64 // of the last three: sent to the fallback
	Unknown        int64 // requests for streams that are not there
}

// Delegator answers requests for /streams/. Its methods may be called from any goroutine.
type Delegator struct {
	opts     Options
	log      *slog.Logger
	settings atomic.Pointer[Settings]
	index    atomic.Pointer[index]
	seats    seats
	memory   *memory
	between  *between
	counts   counts

	changed *live.Subscription
	stop    context.CancelFunc
	unhear  func()
	done    sync.WaitGroup
}

type counts struct {
	toHTTP, toMMSH, lists, relayed, full, notLive, noNetwork, fallback, unknown atomic.Int64
}

// New returns a Delegator for the fleet as it is, and as it will be.
func New(o Options) *Delegator {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Remote == nil {
		o.Remote = remote
	}
	if o.IDParameter == "" {
		o.IDParameter = "id"
	}
	if o.Remember <= 0 {
		o.Remember = 1 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Addresses == nil {
		own := ownAddresses()
		o.Addresses = func() []netip.Addr { return own }
	}
	ctx, stop := context.WithCancel(context.Background())
	d := &Delegator{opts: o, log: o.Log, memory: newMemory(o.Remember), stop: stop}
	d.Set(o.Settings)
	if o.Bus != nil {
		d.between = newBetween(o.Bus, rand.Uint64(), d.log, d.seats.share()) // #nosec G404 -- tells houses apart, no secret
	}
	d.changed = o.Fleet.Subscribe(1, func(k live.Kind) bool { return k == live.RosterChanged })
	d.follow()
	d.done.Go(func() { d.tend(ctx) })
	if o.Bus != nil {
		d.join(ctx)
	}
	return d
}

// Set puts settings in force.
func (d *Delegator) Set(s Settings) { d.settings.Store(&s) }

// Close ends what runs beside.
func (d *Delegator) Close() {
	d.changed.Close()
	d.stop()
	if d.unhear != nil {
		d.unhear()
	}
	d.done.Wait()
}

// tend makes a new index whenever roster or streams change.
func (d *Delegator) tend(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.changed.C:
			d.follow()
		}
	}
}

// follow makes the index of the fleet's make-up of now.
func (d *Delegator) follow() {
	v := d.opts.Fleet.View()
	made := uint32(1)
	if old := d.index.Load(); old != nil {
		if old.revision == v.Revision {
			return
		}
		made = old.made + 1
	}
	x := newIndex(v, &d.seats, made)
	d.index.Store(x)
	d.seats.keep(x)
}

// join hears other houses, and tells them.
func (d *Delegator) join(ctx context.Context) {
	stop, err := d.opts.Bus.Subscribe(subject, func(_ string, word []byte) { d.hear(word) })
	if err != nil {
		d.log.Error("hearing other houses", slog.Any("error", err))
	}
	d.unhear = stop
	d.done.Go(func() {
		spare := make([]byte, 0, maxWord)
		tick := time.NewTicker(tellEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				spare = d.between.tell(spare, time.Now())
			}
		}
	})
}

// told notes for other houses that a viewer was sent to a pump.
func (d *Delegator) told(q query, s *slot) {
	if d.between != nil {
		d.between.add(entry{q.key, s.seat.hash, hashString(fnvOffset, s.keys[q.stream]), q.step == ask})
	}
}

// hear takes in whom another house has sent where.
func (d *Delegator) hear(word []byte) {
	now := d.opts.Now().UnixNano()
	x := d.index.Load()
	d.between.read(word, time.Now(), func(e entry) {
		s := x.byHash[e.pump]
		if s == nil || e.key == 0 {
			return
		}
		bits := int64(0)
		if stream, ok := x.streamHashes[e.stream]; ok {
			bits = max(s.rates[stream].Load(), 0)
		}
		s.seat.note(now, 1, bits)
		set, mu := d.memory.lock(e.key)
		m := find(set, e.key, seconds(now))
		if m == nil {
			m = place(set, e.key)
		}
		m.seat, m.at, m.made = s.seat.number, seconds(now), 0
		if e.held {
			m.held++
		}
		mu.Unlock()
	})
}

// Figures returns the counts of now.
func (d *Delegator) Figures() Figures {
	c := &d.counts
	f := Figures{
		ToHTTP: c.toHTTP.Load(), ToMMSH: c.toMMSH.Load(), Lists: c.lists.Load(), Relayed: c.relayed.Load(), Full: c.full.Load(), NotLive: c.notLive.Load(),
		NoNetwork: c.noNetwork.Load(), Fallback: c.fallback.Load(), Unknown: c.unknown.Load(),
	}
	if d.opts.Relay != nil {
		viewers, bits, refused := d.opts.Relay.Taken()
		f.Relaying, f.RelayBPS, f.RelayFull = int64(viewers), bits, refused
	}
	return f
}

// Awaited returns how many places are kept for viewers who were sent to pumps that have not told of them yet.
func (d *Delegator) Awaited() int64 { return d.seats.awaited(d.opts.Now().UnixNano()) }

// remote is the other end of the connection.
func remote(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr()
}
