package fleet

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stream-pump/stream-pump/telemetry"
)

// Side is the pump as the client knows it. Configure and Do are called one after the other
// each; all may be called at the same time as the others.
type Side interface {
	// Report tells what the pump does now.
	Report() State

	// Configure puts a configuration in force, which was checked. On an error the pump is
	// as it was.
	Configure(ctx context.Context, c Config) error

	// Standings returns the figures of those viewers: of all with nil, with an empty list of
	// those whose health has changed since it was last asked so.
	Standings(ctx context.Context, ids []string) []Figures

	// Kick cuts viewers off.
	Kick(ctx context.Context, ids []string, reason string)

	// Retry asks the sources of streams now, those that do not deliver.
	Retry(streams []string)
}

// Store keeps what must outlive the program.
type Store interface {
	Identity() (Identity, error) // the zero value if none was kept
	KeepIdentity(Identity) error
}

// Reach is how a pump comes to its house, which may change.
type Reach struct {
	Houses []string       // addresses, tried in order
	Key    string         // empty: by certificate
	Roots  *x509.CertPool // of the house's certificate; nil: the invite's, or the system's
}

// Equal tells whether it is the same way.
func (r Reach) Equal(o Reach) bool {
	return slices.Equal(r.Houses, o.Houses) && r.Key == o.Key && r.Roots.Equal(o.Roots)
}

// ClientOptions are what a [Client] is made with. Houses, Pump, Side and Journal are required.
type ClientOptions struct {
	Reach
	Pump   string                                // id
	Invite string                                // for a certificate; empty: none
	Proxy  func(*http.Request) (*url.URL, error) // nil: none

	// Dial reaches a house within the same program: nobody has to prove there who he is. nil
	// reaches houses over the network.
	Dial func(context.Context) (net.Conn, error)

	Program string     // its version
	Port    func() int // the public port
	Side    Side
	Journal *Journal
	Store   Store        // nil: nothing is kept
	Log     *slog.Logger // nil discards
	Waits   Waits
	Now     func() time.Time // default time.Now
}

// Waits are the times between two attempts; zero fields take the defaults. Each is jittered
// by a quarter.
type Waits struct {
	First      time.Duration // after the house was lost; it doubles; default 250 ms
	Most       time.Duration // up to this; default 5 s
	Refused    time.Duration // after the house refused the pump; it doubles; default 2 s
	RefusedMax time.Duration // up to this; default 1 min
	Superseded time.Duration // while another run of the pump has its place; default 1 min
}

func (w Waits) withDefaults() Waits {
	for _, d := range []struct {
		to  *time.Duration
		def time.Duration
	}{{&w.First, 250 * time.Millisecond}, {&w.Most, 5 * time.Second}, {&w.Refused, 2 * time.Second}, {&w.RefusedMax, time.Minute}, {&w.Superseded, time.Minute}} {
		if *d.to <= 0 {
			*d.to = d.def
		}
	}
	return w
}

// Client is a pump's side of the conversation with its house. It goes on until its Run ends,
// whatever the house does.
type Client struct {
	opts    ClientOptions
	boot    string
	repeats *telemetry.Repeats
	wire    atomic.Pointer[wire]
	house   atomic.Pointer[string]  // name of the one that knows the pump now, nil: none
	session atomic.Pointer[session] // the last one
	number  atomic.Int64            // of the last batch
	done    doneCommands

	reach    atomic.Pointer[Reach]
	moved    chan struct{} // it has changed
	adopting sync.Mutex    // held while connections are made anew

	mu     sync.Mutex
	faults map[string]string // what a person should know, by kind
	who    Identity
}

// session is what a hello has led to.
type session struct {
	at      string // address of the house
	began   time.Time
	welcome Welcome
}

// NewClient returns a client, which does nothing before Run.
func NewClient(o ClientOptions) (*Client, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Waits = o.Waits.withDefaults()
	c := &Client{
		opts: o, boot: NewBoot(), faults: map[string]string{}, moved: make(chan struct{}, 1),
		repeats: telemetry.NewRepeats(o.Log, telemetry.RepeatsOptions{Every: 10 * time.Second, Longest: 10 * time.Minute}),
	}
	c.reach.Store(&o.Reach)
	if err := c.recall(); err != nil {
		return nil, err
	}
	return c, nil
}

// Reach has the client come to its house another way from now on: the session ends, and the next
// one begins there. The pump stays who it is, and nothing that is to be told is lost. On an
// error the way is as it was.
func (c *Client) Reach(r Reach) error {
	c.adopting.Lock()
	defer c.adopting.Unlock()
	before := c.reach.Swap(&r)
	if err := c.adoptLocked(c.identity()); err != nil {
		c.reach.Store(before)
		return err
	}
	select {
	case c.moved <- struct{}{}:
	default:
	}
	return nil
}

// House returns the name of the house that knows the pump now, empty if none does.
func (c *Client) House() string {
	if name := c.house.Load(); name != nil {
		return *name
	}
	return ""
}

// Run keeps up the conversation until ctx is done. It is called once.
func (c *Client) Run(ctx context.Context) {
	wait := pause{Waits: c.opts.Waits}
	for turn := 0; ctx.Err() == nil; {
		houses := c.reach.Load().Houses
		at := houses[turn%len(houses)]
		began := c.opts.Now()
		err, moved := c.visitUntilMoved(ctx, at)
		known := c.house.Swap(nil) != nil
		if ctx.Err() != nil {
			break
		}
		if !moved {
			next, d := wait.after(err, known, c.opts.Now().Sub(began))
			c.complain(at, err, known)
			if next {
				turn++
			}
			moved = c.sleep(ctx, d)
		}
		if moved {
			c.opts.Log.Info("the house is reached another way from now on", slog.String("pump", c.opts.Pump))
			turn, wait = 0, pause{Waits: c.opts.Waits}
		}
	}
}

// visitUntilMoved is a visit that ends also when the house is to be reached another way.
func (c *Client) visitUntilMoved(ctx context.Context, at string) (err error, moved bool) { //nolint:revive // the error is the visit's
	ctx, end := context.WithCancelCause(ctx)
	over := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		select {
		case <-c.moved:
			end(errMoved)
		case <-over:
		}
	})
	err = c.visit(ctx, at)
	close(over)
	all.Wait()
	moved = errors.Is(context.Cause(ctx), errMoved)
	end(nil)
	return err, moved
}

// sleep waits, and tells whether the house is to be reached another way.
func (c *Client) sleep(ctx context.Context, d time.Duration) (moved bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-c.moved:
		return true
	case <-t.C:
	}
	return false
}

// Close tells the house what is left to tell, if it listens, and lets go of all connections.
// Run must have returned.
func (c *Client) Close(ctx context.Context) {
	if s := c.session.Load(); s != nil {
		for more := true; more && ctx.Err() == nil; {
			var err error
			if more, err = c.tell(ctx, s, &telling{}); err != nil {
				break
			}
		}
	}
	c.repeats.Close()
	c.wire.Load().close()
}

// Reasons why a session ends without anything being wrong.
var (
	errRenewed = errors.New("the session is due to be renewed")
	errMoved   = errors.New("the house is reached another way")
	errSilent  = errors.New("the house has fallen silent")
	errLineEnd = errors.New("the house has ended the event stream")
)

// farewell is a goodbye as an error.
type farewell struct{ Goodbye }

func (f *farewell) Error() string { return "the house says goodbye: " + f.Reason }

// visit says hello and keeps the session until it ends, and tells why.
func (c *Client) visit(ctx context.Context, at string) error {
	if err := c.becomeKnown(ctx, at); err != nil {
		return err
	}
	s, err := c.hello(ctx, at)
	if err != nil {
		return err
	}
	c.session.Store(s)
	c.house.Store(&s.welcome.House)
	c.opts.Log.Info("the house knows this pump", slog.String("house", s.welcome.House), slog.String("address", at), slog.String("pump", c.opts.Pump))
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	l := newLine()
	var all sync.WaitGroup
	for _, part := range []func(context.Context, *session, *line) error{c.listen, c.report, c.configure, c.obey, c.keep} {
		all.Go(func() {
			if err := part(ctx, s, l); err != nil {
				end(err)
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// pause decides how long to wait.
type pause struct {
	Waits
	lost, refused time.Duration // the last waits of their kind
}

// good is how long a session must have lasted for the waits to begin anew.
const good = 10 * time.Second

// after returns how long to wait after a visit that ended so, and whether to try the next
// house.
func (p *pause) after(err error, known bool, lasted time.Duration) (next bool, d time.Duration) {
	if known {
		p.refused = 0
		if lasted > good {
			p.lost = 0
		}
	}
	var e *Error
	var f *farewell
	switch {
	case errors.Is(err, errRenewed):
		return false, 0
	case errors.As(err, &f):
		return true, jitter(min(time.Duration(f.WaitMS)*time.Millisecond, p.RefusedMax))
	case errors.As(err, &e) && e.Code == CodeSuperseded:
		return false, jitter(p.Superseded)
	case errors.As(err, &e) && (e.Status == http.StatusTooManyRequests || e.Status == http.StatusServiceUnavailable):
		p.lost = grow(p.lost, p.First, p.Most)
		return e.Status == http.StatusServiceUnavailable, jitter(max(p.lost, min(time.Duration(e.WaitS)*time.Second, 10*time.Minute)))
	case errors.As(err, &e) && e.Status >= 400 && e.Status < 500 && !known, errors.Is(err, errStranger):
		p.refused = grow(p.refused, p.Refused, p.RefusedMax)
		return true, jitter(p.refused)
	}
	p.lost = grow(p.lost, p.First, p.Most)
	return true, jitter(p.lost)
}

func grow(was, first, most time.Duration) time.Duration { return min(max(2*was, first), most) }

// jitter keeps a thousand pumps from coming at once.
func jitter(d time.Duration) time.Duration {
	return d - d/4 + time.Duration(rand.Int64N(int64(d/2)+1)) // #nosec G404 -- no secret
}

// complain logs why a visit has ended. What goes on is one line with a count.
func (c *Client) complain(at string, err error, known bool) {
	var e *Error
	why := slog.String("reason", telemetry.RedactText(err.Error()))
	house := slog.String("house", at)
	switch {
	case errors.Is(err, errRenewed):
	case errors.As(err, &e) && e.Code == CodeSuperseded:
		c.repeats.Log(slog.LevelError, "superseded", "another pump with this id has taken its place at the house; two configurations have the same house.id, or the key was stolen",
			slog.String("pump", c.opts.Pump), house, why)
	case errors.As(err, &e) && e.Status >= 400 && e.Status < 500, errors.Is(err, errStranger):
		c.repeats.Log(slog.LevelError, "refused "+at, "the house refuses this pump", slog.String("pump", c.opts.Pump), house, why)
	case known:
		c.opts.Log.Warn("the house is lost; the pump goes on with what it said last", house, why)
	default:
		c.repeats.Log(slog.LevelWarn, "lost "+at, "the house cannot be reached; the pump goes on with what it said last", house, why)
	}
}

// fault sets or clears, with an empty text, what a person should know.
func (c *Client) fault(kind, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if text == "" {
		delete(c.faults, kind)
		return
	}
	c.faults[kind] = text
}

// hello begins a session.
func (c *Client) hello(ctx context.Context, at string) (*session, error) {
	h := Hello{Pump: c.opts.Pump, Boot: c.boot, Program: c.opts.Program, Clock: c.opts.Now(), Config: c.opts.Side.Report().Config}
	if c.opts.Port != nil {
		h.Port = c.opts.Port()
	}
	auth, err := c.credentials()
	if err != nil {
		return nil, err
	}
	s := &session{at: at, began: c.opts.Now()}
	if err := c.call(ctx, at+PathHello, again(auth), &h, &s.welcome); err != nil {
		return nil, fmt.Errorf("saying hello: %w", err)
	}
	if err := s.welcome.Check(); err != nil {
		return nil, fmt.Errorf("the house's welcome is not as it should be: %w", err)
	}
	c.compareClocks(h.Clock, c.opts.Now(), s.welcome.Clock)
	return s, nil
}

// farOff is from when on a difference of clocks is worth a word.
const farOff = time.Minute

func (c *Client) compareClocks(before, after, house time.Time) {
	off := before.Add(after.Sub(before) / 2).Sub(house)
	if house.IsZero() || off.Abs() < farOff {
		c.fault("clock", "")
		return
	}
	text := off.Round(time.Second).String()
	c.fault("clock", "its clock is "+text+" off the house's: signed addresses and certificates end at the wrong time")
	c.repeats.Log(slog.LevelWarn, "clock", "the clock is off the house's: signed addresses and certificates end at the wrong time", slog.String("off", text))
}

// keep ends the session in time, and renews the certificate when it is due.
func (c *Client) keep(ctx context.Context, s *session, _ *line) error {
	end := time.NewTimer(time.Duration(s.welcome.ExpiresS) * time.Second / 10 * 9)
	defer end.Stop()
	var due <-chan time.Time
	if s.welcome.RenewS > 0 {
		t := time.NewTimer(time.Duration(s.welcome.RenewS) * time.Second)
		defer t.Stop()
		due = t.C
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-end.C:
			return errRenewed
		case <-due:
		}
		if err := c.renew(ctx, s); err == nil {
			return errRenewed
		} else if ctx.Err() == nil {
			c.repeats.Log(slog.LevelWarn, "renew", "the certificate is not renewed; it is tried again", slog.Any("error", err))
		}
		t := time.NewTimer(jitter(renewAgain))
		defer t.Stop()
		due = t.C
	}
}

// renewAgain is how long after a failure the certificate is renewed again.
const renewAgain = 30 * time.Second
