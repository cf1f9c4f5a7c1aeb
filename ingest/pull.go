package ingest

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/telemetry"
)

// Proxy is an HTTP proxy to pull through: absolute addresses for http, CONNECT for https.
type Proxy struct {
	Address  string // host:port
	Local    bool   // also for loopback, private and link-local addresses, and for names without a dot
	User     string // for Basic authentication at the proxy
	Password string
}

// PullOptions describe a server to pull from. URL is required; zero fields take the defaults.
type PullOptions struct {
	URL            string // mmsh, mms, http or https; may hold user and password
	User, Password string // for Digest or Basic, instead of those in URL
	Proxy          *Proxy

	RootCAs  *x509.CertPool // instead of the system's
	Insecure bool           // accept any certificate

	Timeout       time.Duration // without data: connecting, reply, and in mid-stream; default 15 s
	ChangeTimeout time.Duration // for the new header after an entry has ended; default 30 s
	Agent         string        // default mmsh.AgentV9
	Dial          func(ctx context.Context, network, address string) (net.Conn, error)
	Log           *slog.Logger
}

const (
	maxHops      = 5    // redirects and playlists followed
	maxBefore    = 1000 // packets of other kinds in front of a header
	describeTime = 2    // times Timeout for a whole Describe
)

// Pull is a source that plays a stream from another server, as a player would.
type Pull struct {
	opts PullOptions
	from *url.URL // without user and password
	name string
	left mark // where the last run stopped; one Run at a time
}

// mark is where a source stopped: a server that is a Stream Pump too can go on from there.
type mark struct {
	next uint32 // LocationId in the server's count
	tail uint64 // of our ring: nobody has published since
	set  bool
}

// NewPull checks the address and returns the source. Errors do not contain secrets.
func NewPull(o PullOptions) (*Pull, error) {
	u, err := parseSource(o.URL)
	if err != nil {
		return nil, err
	}
	if o.User == "" && u.User != nil {
		o.User = u.User.Username()
		o.Password, _ = u.User.Password()
	}
	u.User = nil
	if o.Timeout <= 0 {
		o.Timeout = 15 * time.Second
	}
	if o.ChangeTimeout <= 0 {
		o.ChangeTimeout = 30 * time.Second
	}
	if o.Agent == "" {
		o.Agent = mmsh.AgentV9
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Pull{opts: o, from: u, name: telemetry.Redact(u.String())}, nil
}

// parseSource reads the address of a source. What a redirect or a playlist names goes through the same door.
func parseSource(address string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil {
		var wrong *url.Error
		if errors.As(err, &wrong) {
			err = wrong.Err // without the address, which may hold a password
		}
		return nil, fmt.Errorf("address of a source: %w", err)
	}
	return u, checkSource(u)
}

func checkSource(u *url.URL) error {
	switch strings.ToLower(u.Scheme) {
	case "mmsh", "mms", "http", "https":
	default:
		return fmt.Errorf("address of a source has scheme %q (mmsh, mms, http or https)", printable(u.Scheme))
	}
	if u.Hostname() == "" {
		return errors.New("address of a source names no host")
	}
	return nil
}

// Name implements Source.
func (p *Pull) Name() string { return p.name }

// Run implements Source.
func (p *Pull) Run(ctx context.Context, feed *Feed) error {
	at := p.from
	seen := map[string]bool{}
	for range maxHops + 1 {
		if seen[at.String()] {
			return errors.New("redirects lead in a circle")
		}
		seen[at.String()] = true
		next, err := p.visit(ctx, at, feed)
		if err != nil {
			return err
		}
		p.opts.Log.Debug("source names another address", slog.String("source", p.name),
			slog.String("to", telemetry.Redact(next.String())))
		at = next
	}
	return fmt.Errorf("more than %d redirects", maxHops)
}

// visit asks one address: the stream is played from there until it is over, or another address is named.
func (p *Pull) visit(ctx context.Context, at *url.URL, feed *Feed) (next *url.URL, err error) {
	whole, cancel := context.WithTimeout(ctx, describeTime*p.opts.Timeout)
	defer cancel()
	r, err := p.ask(whole, at, mmsh.ClientParams{}, mmsh.AppendDescribeRequest)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if next, err := r.elsewhere(at); next != nil || err != nil {
		return next, err
	}
	if first, _ := r.body.Peek(16); asf.IsHeader(first) {
		if !r.keep(ctx) {
			return nil, context.Cause(ctx)
		}
		return nil, p.stream(r, feed)
	}
	raw, err := firstHeader(r.body)
	if err != nil {
		return nil, r.because(err)
	}
	r.close()
	params := mmsh.ClientParams{Streams: streamNumbers(raw), Relay: true, From: p.left.next}
	params.HasFrom = p.left.set && p.left.tail == feed.Stream().Ring().Tail()
	params.ClientID, params.HasClientID = mmsh.ClientIDOf(r.header)
	return nil, p.play(ctx, at, params, feed)
}

// play asks for the stream and reads it.
func (p *Pull) play(ctx context.Context, at *url.URL, params mmsh.ClientParams, feed *Feed) error {
	r, err := p.ask(ctx, at, params, mmsh.AppendPlayRequest)
	if err != nil {
		return err
	}
	defer r.close()
	if r.status != 200 {
		return &StatusError{Code: r.status}
	}
	return p.stream(r, feed)
}

// stream reads a body into the feed until it ends.
func (p *Pull) stream(r *reply, feed *Feed) error {
	res, err := ReadBody(r.body, feed, BodyOptions{Role: mmsh.Pull, Alive: func(_ mmsh.EventKind, entryEnd bool) {
		if entryEnd {
			r.conn.patience(p.opts.ChangeTimeout)
		} else {
			r.conn.patience(p.opts.Timeout)
		}
	}})
	p.left.next, p.left.set = feed.next()
	p.left.tail = feed.Stream().Ring().Tail()
	if c := res.Counters; c.Gaps+c.Backward+c.Unknown+c.Resyncs > 0 {
		p.opts.Log.Info("server left something out", slog.String("source", p.name), slog.Uint64("gaps", c.Gaps),
			slog.Uint64("missing", c.Missing), slog.Uint64("backward", c.Backward), slog.Uint64("unknown", c.Unknown))
	}
	switch {
	case err != nil:
		return r.because(err)
	case res.Ended:
		return fmt.Errorf("%w (code 0x%08x)", ErrEnded, res.Reason)
	}
	return &LostError{Err: errors.New("server closed the connection")}
}

// streamNumbers are the streams of a header, for the request that selects them all.
func streamNumbers(raw []byte) []uint8 {
	h, err := asf.ParseHeader(raw)
	if err != nil {
		return nil
	}
	list := make([]uint8, 0, len(h.Streams))
	for _, s := range h.Streams {
		list = append(list, s.Number)
	}
	return list
}

// params fills in what every request has.
func (p *Pull) params(c mmsh.ClientParams, at *url.URL, target, guid string) mmsh.ClientParams {
	c.Path, c.Host, c.Agent, c.GUID = target, at.Host, p.opts.Agent, guid
	return c
}
