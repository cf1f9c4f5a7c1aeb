package hook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stream-pump/stream-pump/telemetry"
)

// Action says how one action is asked or told. Without a URL it is not.
type Action struct {
	URL      string        // http or https; user information is sent as Basic
	Timeout  time.Duration // for all of a request; default 2 s
	Cache    time.Duration // how long an answer is kept; 0: not
	FailOpen bool          // let in when there is no answer
}

// Settings are what may change while the client runs.
type Settings struct {
	// Secret signs every request, in SignatureHeader; empty: none is signed.
	Secret  string
	Actions map[string]Action // by name
}

// SignatureHeader holds t=SECONDS,sha256=HEX: the time, and the HMAC-SHA-256 under the
// secret of that time in digits, a dot and the body.
const SignatureHeader = "X-Stream-Pump-Signature"

// Options describe a client; zero fields take the defaults.
type Options struct {
	Log     *slog.Logger       // default: nothing is logged
	Metrics *telemetry.Metrics // nil: nothing is counted
	Now     func() time.Time   // default time.Now

	// RetryFirst is the wait before an event that was not taken is sent again; it
	// doubles. Default 1 s.
	RetryFirst time.Duration
}

// Bounds of the client.
const (
	maxConnections = 32   // to one host at once
	maxAsking      = 1024 // who may wait for an answer, or for a connection
	maxQueue       = 4096 // events that wait to be told
	tellers        = 4    // events told at once
	tellFor        = time.Minute
	maxAnswer      = 64 << 10 // bytes of an answer that are read, so that the connection can be used again
	defaultTimeout = 2 * time.Second
)

// Client asks and tells. Methods may be called from any goroutine; a nil Client lets
// everyone in and tells nobody.
type Client struct {
	opts     Options
	settings atomic.Pointer[Settings]
	http     *http.Client
	repeats  *telemetry.Repeats
	cache    *cache
	breakers map[string]*breaker
	counters counters
	asking   chan struct{} // taken by those who wait for an answer
	ctx      context.Context
	cancel   context.CancelFunc
	stopping chan struct{} // closed when Close begins

	mu      sync.Mutex // guards what follows
	queue   []job
	working int
	closed  bool
	done    sync.WaitGroup
}

// New returns a client. Close it at the end.
func New(s Settings, o Options) *Client {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.RetryFirst <= 0 {
		o.RetryFirst = time.Second
	}
	c := &Client{
		opts: o, repeats: telemetry.NewRepeats(o.Log, telemetry.RepeatsOptions{Every: 10 * time.Second}),
		cache: newCache(o.Now), breakers: map[string]*breaker{}, counters: newCounters(o.Metrics), asking: make(chan struct{}, maxAsking),
		stopping: make(chan struct{}),
		http: &http.Client{
			Transport: &http.Transport{
				MaxConnsPerHost: maxConnections, MaxIdleConnsPerHost: maxConnections, IdleConnTimeout: 90 * time.Second,
				DisableCompression: true, MaxResponseHeaderBytes: maxAnswer,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	for _, name := range []string{OnPublish, OnPlay} {
		c.breakers[name] = &breaker{now: o.Now}
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.Update(s)
	return c
}

// Update replaces the settings. What is kept of answers is forgotten.
func (c *Client) Update(s Settings) {
	c.settings.Store(&s)
	c.cache.clear()
	for _, b := range c.breakers {
		b.succeeded()
	}
}

// action returns how an action is to be done; without a URL, it is not.
func (c *Client) action(name string) (Action, string) {
	s := c.settings.Load()
	a := s.Actions[name]
	if a.Timeout <= 0 {
		a.Timeout = defaultTimeout
	}
	return a, s.Secret
}

// Asks tells whether an action is configured.
func (c *Client) Asks(name string) bool {
	if c == nil {
		return false
	}
	a, _ := c.action(name)
	return a.URL != ""
}

// post sends an event and returns the status of the answer.
func (c *Client) post(ctx context.Context, a Action, secret string, e Event) (int, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return 0, fmt.Errorf("writing an event: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, a.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.URL, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "stream-pump")
	if secret != "" {
		req.Header.Set(SignatureHeader, signature(secret, c.opts.Now(), body))
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, telemetry.ReplyError(err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	return resp.StatusCode, nil
}

func signature(secret string, now time.Time, body []byte) string {
	t := strconv.FormatInt(now.Unix(), 10)
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(t + "."))
	h.Write(body)
	return "t=" + t + ",sha256=" + hex.EncodeToString(h.Sum(nil))
}

// note logs a failure; many of one kind are one line.
func (c *Client) note(action, what string, err error) {
	err = telemetry.RedactError(err)
	c.repeats.Log(slog.LevelWarn, action+what, what, slog.String("action", action), slog.Any("error", err))
}

// Close tells what is left to tell until ctx is done, each event once, and ends the
// client: who asks from then on is told that there is no answer. Call it once.
func (c *Client) Close(ctx context.Context) {
	if c == nil {
		return
	}
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	close(c.stopping)
	stop := context.AfterFunc(ctx, c.cancel)
	c.done.Wait()
	stop()
	c.cancel()
	c.http.CloseIdleConnections()
	c.repeats.Close()
}

var errClosed = errors.New("the pump is stopping")
