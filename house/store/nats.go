package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/stream-pump/stream-pump/telemetry"
)

// natsStore is a Store in NATS JetStream: one bucket for what is kept, one in memory for
// leases, because keys end by themselves only where no history is kept.
type natsStore struct {
	opts     Options
	log      *slog.Logger
	repeats  *telemetry.Repeats // of what is said again and again while it lasts
	embedded *embedded          // nil: the servers are somewhere else
	nc       *nats.Conn
	js       jetstream.JetStream
	bus      natsBus

	answered atomic.Int64  // when the store last answered, in ns since 1970
	latest   atomic.Uint64 // the highest revision that is known to be there
	epoch    atomic.Int64  // when the store was made, in ns since 1970
	identity string        // of the store at other servers, once it is known
	lost     atomic.Pointer[lostError]
	astray   int // pulses in a row that were of another store, or of less; of beat alone

	noting sync.Mutex // asking pulse, and what follows
	noted  witness    // what was written down last
	going  bool       // entries are going for good: nothing is written down meanwhile

	mu        sync.Mutex
	stream    jetstream.Stream // behind state
	pulse     jetstream.Stream // the same for beat alone: asking how far it is changes it for all who use it
	state     jetstream.KeyValue
	leases    jetstream.KeyValue
	followers map[*follower]struct{}
	closed    bool
	ctx       context.Context // of all watches
	cancel    context.CancelFunc
	done      sync.WaitGroup
}

// Open opens the store; ctx bounds how long that may take. It waits for a cluster to have
// enough members.
func Open(ctx context.Context, o Options) (Store, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &natsStore{opts: o, log: o.Log, followers: map[*follower]struct{}{}}
	s.repeats = telemetry.NewRepeats(o.Log, telemetry.RepeatsOptions{Every: 5 * time.Second, Longest: 5 * time.Minute})
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if o.Dir != "" {
		e, err := newEmbedded(o)
		if err != nil {
			s.cancel()
			s.repeats.Close()
			return nil, err
		}
		s.embedded = e
	}
	if err := s.recall(); err != nil {
		_ = s.Close()
		return nil, err
	}
	if err := s.connect(); err != nil {
		_ = s.Close()
		return nil, err
	}
	if err := s.prepare(ctx); err != nil {
		_ = s.Close()
		return nil, err
	}
	s.recognise(ctx)
	if err := s.verify(ctx); err != nil {
		s.stream, s.pulse = nil, nil // what was written down of it stays
		_ = s.Close()
		return nil, err
	}
	s.done.Go(s.beat)
	s.done.Go(s.tidy)
	return s, nil
}

func (s *natsStore) connect() error {
	options := []nats.Option{
		nats.Name("pump-house " + s.opts.Name), nats.MaxReconnects(-1), nats.ReconnectWait(200 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond), nats.Timeout(2 * time.Second), nats.ReconnectBufSize(-1),
		nats.PingInterval(2 * time.Second), nats.MaxPingsOutstanding(2), nats.RetryOnFailedConnect(true), nats.IgnoreAuthErrorAbort(),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				s.log.Warn("the store is not connected", slog.Any("error", explained(s.opts, err)))
			}
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { s.away(unreachable, err) }),
		nats.ReconnectHandler(func(*nats.Conn) { s.reconnected() }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if refusal(s.opts, err) != "" {
				s.away(unreachable, err)
				return
			}
			s.log.Debug("store", slog.Any("error", err))
		}),
	}
	address := ""
	if s.embedded != nil {
		options = append(options, nats.InProcessServer(s.embedded))
		if s.opts.Cluster.Listen != "" {
			options = append(options, nats.UserInfo(clientUser, s.embedded.password))
		}
	} else {
		address = strings.Join(s.opts.URLs, ",")
		if s.opts.Credentials != "" {
			options = append(options, nats.UserCredentials(s.opts.Credentials))
		}
		if s.opts.User != "" {
			options = append(options, nats.UserInfo(s.opts.User, s.opts.Password))
		}
		if s.opts.TLS != nil {
			options = append(options, nats.Secure(s.opts.TLS))
		}
	}
	nc, err := nats.Connect(address, append(options[:len(options):len(options)], nats.RetryOnFailedConnect(false))...)
	if err != nil {
		if lasting(s.opts, err) {
			return fmt.Errorf("connecting to the store at %s: %w", s.servers(), explained(s.opts, err))
		}
		s.away("the store does not answer yet; it is tried again", err)
		nc, err = nats.Connect(address, options...)
	}
	if err != nil {
		return fmt.Errorf("connecting to the store: %w", err)
	}
	s.nc = nc
	if most := nc.MaxPayload(); nc.IsConnected() && most < leastPayload {
		return fmt.Errorf("connecting to the store at %s: %w", s.servers(), &limitError{fmt.Sprintf("they take messages of %d bytes", most), payload})
	}
	s.bus = natsBus{store: s}
	s.js, err = jetstream.New(nc)
	if err == nil {
		err = s.listen()
	}
	if err != nil {
		return fmt.Errorf("connecting to the store: %w", err)
	}
	return nil
}

// servers are those of the configuration, as they are told to people.
func (s *natsStore) servers() string { return strings.Join(hosts(s.opts.URLs), ", ") }

const unreachable = "the store cannot be reached; it is tried again"

// away tells that servers cannot be reached, now and then while that lasts.
func (s *natsStore) away(what string, err error) {
	if s.ctx.Err() == nil {
		s.repeats.Log(slog.LevelWarn, "away", what, slog.String("servers", s.servers()), slog.Any("error", explained(s.opts, err)))
	}
}

// settles is how long a server that is in no cluster may take to have JetStream, and what is
// answered to be what there is.
const settles = 3 * time.Second

// prepare sees that the buckets are there, and waits for it until ctx ends: the members of
// a cluster start one after the other.
func (s *natsStore) prepare(ctx context.Context) error {
	repeats := telemetry.NewRepeats(s.log, telemetry.RepeatsOptions{Every: 5 * time.Second})
	defer repeats.Close()
	for began := time.Now(); ; {
		err := s.makeBuckets(ctx)
		if err == nil {
			return nil
		}
		if !s.nc.IsConnected() {
			err = ErrUnavailable
			if last := s.nc.LastError(); last != nil {
				err = fmt.Errorf("connecting to the store at %s: %w", s.servers(), last)
			}
		}
		lone := s.embedded == nil && s.nc.IsConnected() && s.nc.ConnectedClusterName() == "" && errors.Is(err, nats.ErrNoResponders)
		late := time.Since(began) > settles
		switch {
		case lasting(s.opts, err), late && (lone || errors.Is(err, ErrLost)), s.isFull():
			return s.whereFull(explained(s.opts, err))
		case s.nc.IsConnected(): // else that is said
			repeats.Log(slog.LevelWarn, "", "the store is not ready; it is tried again", slog.Any("error", explained(s.opts, err)))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the store: %w", explained(s.opts, err))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// whereFull says which disk is full, if that is why.
func (s *natsStore) whereFull(err error) error {
	if !s.isFull() {
		return err
	}
	return fmt.Errorf("%w: %s needs %d MiB of room: %w", ErrFull, s.opts.Dir, defaultReserve>>20, err)
}

func (s *natsStore) makeBuckets(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := s.known(ctx); err != nil {
		return err
	}
	stream, state, err := s.makeBucket(ctx, "state", jetstream.StreamConfig{
		Description: "what a pump house must not forget", Storage: jetstream.FileStorage,
	})
	if err != nil {
		return fmt.Errorf("making the bucket of the state: %w", told(err))
	}
	pulse, err := s.js.Stream(ctx, stream.CachedInfo().Config.Name)
	if err != nil {
		return fmt.Errorf("looking at the bucket of the state: %w", told(err))
	}
	_, leases, err := s.makeBucket(ctx, "leases", jetstream.StreamConfig{
		Description: "who does what among pump houses", Storage: jetstream.MemoryStorage, MaxAge: LeaseFor,
	})
	if err != nil {
		return fmt.Errorf("making the bucket of the leases: %w", told(err))
	}
	if s.embedded != nil {
		if err := s.embedded.flush(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.stream, s.pulse, s.state, s.leases = stream, pulse, state, leases
	s.mu.Unlock()
	s.epoch.CompareAndSwap(0, stream.CachedInfo().Created.UnixNano())
	s.answered.Store(time.Now().UnixNano())
	return nil
}

// makeBucket makes the stream behind a bucket as the library would, but for one thing: it
// is read at the leader alone. Any replica could answer with what was there a moment ago.
func (s *natsStore) makeBucket(ctx context.Context, name string, c jetstream.StreamConfig) (jetstream.Stream, jetstream.KeyValue, error) {
	bucket := s.bucket(name)
	c.Name, c.Subjects = "KV_"+bucket, []string{"$KV." + bucket + ".>"}
	c.MaxMsgsPerSubject, c.MaxMsgSize, c.Replicas = 1, MaxValue+4<<10, s.opts.Replicas
	c.Discard, c.AllowRollup, c.DenyDelete, c.AllowDirect = jetstream.DiscardNew, true, true, false
	c.MaxMsgs, c.MaxBytes, c.MaxConsumers, c.Duplicates = -1, -1, -1, 2*time.Minute
	if c.MaxAge > 0 {
		c.Duplicates = min(c.Duplicates, c.MaxAge)
	}
	stream, err := s.js.CreateOrUpdateStream(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	kv, err := s.js.KeyValue(ctx, bucket)
	return stream, kv, err
}

// bucket is what a bucket is called in NATS.
func (s *natsStore) bucket(name string) string { return s.opts.Prefix + "-" + name }

// buckets returns both. A bucket that is not there any more shows when it is used.
func (s *natsStore) buckets() (state, leases jetstream.KeyValue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state, s.leases
}

// told turns what NATS says into the errors of this package.
func told(err error) error {
	var api *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jetstream.ErrKeyNotFound), errors.Is(err, jetstream.ErrKeyDeleted):
		return ErrNotFound
	case errors.Is(err, jetstream.ErrKeyExists):
		return ErrChanged
	case strings.Contains(err.Error(), "no space left"):
		return ErrFull
	case limit(err) != nil:
		return limit(err)
	case errors.As(err, &api):
		switch api.ErrorCode {
		case codeWrongSequence, codeInFlight:
			return ErrChanged
		case codeNoResources:
			return ErrFull
		}
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// Codes of NATS's errors (server/errors.json).
const (
	codeWrongSequence jetstream.ErrorCode = 10071
	codeInFlight      jetstream.ErrorCode = 10164 // a change of the same entry is on its way through a cluster
	codeNoResources   jetstream.ErrorCode = 10023
	codeNoMemory      jetstream.ErrorCode = 10028
	codeNoStorage     jetstream.ErrorCode = 10047
)

func (s *natsStore) Bus() Bus { return &s.bus }

func (s *natsStore) Health() error {
	lost := s.lost.Load()
	switch {
	case lost != nil:
		return lost
	case s.isFull():
		return ErrFull
	case !s.nc.IsConnected(), s.embedded != nil && s.embedded.few(), s.silent():
		return ErrUnavailable
	}
	return nil
}

func (s *natsStore) isFull() bool { return s.embedded != nil && s.embedded.full.Load() }

func (s *natsStore) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.done.Wait()
	s.noteLast()
	if s.nc != nil {
		s.nc.Close()
	}
	if s.embedded != nil {
		s.embedded.close()
	}
	s.repeats.Close()
	return nil
}
