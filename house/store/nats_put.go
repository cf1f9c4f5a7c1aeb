package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// How long a change is tried. A server that dies without a word is missed by the others after
// 4 to 9 s; that is theirs to know. A store that has been silent for longer is not waited for.
const (
	patience      = 12 * time.Second
	shortPatience = 2 * time.Second
	attemptWithin = 1500 * time.Millisecond
	attemptAfter  = 50 * time.Millisecond // doubled with every attempt up to attemptMost
	attemptMost   = 400 * time.Millisecond
)

// change is one put or delete, which is the same at every attempt: the servers know it by its
// id and take it once.
type change struct {
	id       string
	subject  string
	value    []byte
	deletes  bool
	revision uint64 // that the entry must have; Any: whatever it has
	marked   uint64 // of the mark that a deleted entry has left; 0: not known to be one

	unsure bool // an attempt may have been taken without our hearing of it
}

func (s *natsStore) newChange(key string, value []byte, revision uint64) *change {
	return &change{id: rand.Text(), subject: "$KV." + s.bucket("state") + "." + key, value: value, revision: revision}
}

func (c *change) message() *nats.Msg {
	m := nats.NewMsg(c.subject)
	m.Data = c.value
	m.Header.Set(jetstream.MsgIDHeader, c.id)
	if c.deletes {
		m.Header.Set("KV-Operation", "DEL")
	}
	if c.revision != Any {
		m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(max(c.revision, c.marked), 10))
	}
	return m
}

// do makes a change, and tries again as long as nobody can tell whether or that it was made:
// a leader has died, the connection broke. It returns the new revision.
func (s *natsStore) do(ctx context.Context, c *change) (uint64, error) {
	deadline := time.Now().Add(patience)
	if s.Health() != nil {
		deadline = time.Now().Add(shortPatience)
	}
	for wait := attemptAfter; ; wait = min(2*wait, attemptMost) {
		if s.isFull() {
			return 0, ErrFull
		}
		if lost := s.lost.Load(); lost != nil {
			return 0, lost
		}
		revision, err := s.attempt(ctx, c)
		if err == nil || !errors.Is(err, ErrUnavailable) {
			return revision, err
		}
		if time.Now().Add(wait).After(deadline) {
			return 0, err
		}
		select {
		case <-ctx.Done():
			return 0, err
		case <-s.ctx.Done():
			return 0, err
		case <-time.After(wait):
		}
	}
}

// attempt tries once.
func (s *natsStore) attempt(ctx context.Context, c *change) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptWithin)
	defer cancel()
	if !s.nc.IsConnected() {
		return 0, ErrUnavailable
	}
	ack, err := s.js.PublishMsg(ctx, c.message(), jetstream.WithRetryAttempts(0))
	if err == nil {
		c.unsure = true // until it is on the disk
		return s.taken(ack.Sequence)
	}
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		c.unsure = c.unsure || !errors.Is(err, jetstream.ErrNoStreamResponse)
		return 0, told(err)
	}
	if inFlight(err) {
		return 0, fmt.Errorf("%w: another change of it is on its way", ErrUnavailable)
	}
	if err = told(err); errors.Is(err, ErrChanged) && (c.unsure || c.revision == Absent) {
		return s.resolve(ctx, c, err)
	}
	return 0, err
}

// taken is called with what the store has acknowledged.
func (s *natsStore) taken(revision uint64) (uint64, error) {
	if s.embedded != nil {
		if err := s.embedded.flush(); err != nil {
			return 0, err
		}
	}
	s.reached(revision)
	s.announce(revision)
	return revision, nil
}

// resolve finds out what is behind a refusal: the entry may be what an earlier attempt made
// of it, or only the mark of one that was deleted.
func (s *natsStore) resolve(ctx context.Context, c *change, refused error) (uint64, error) {
	last, err := s.last(ctx, c.subject)
	switch {
	case err != nil && !errors.Is(err, ErrNotFound):
		return 0, err
	case err == nil && last.Header.Get(jetstream.MsgIDHeader) == c.id:
		return s.taken(last.Sequence)
	case err == nil && c.revision == Absent && deletion(last.Header) && last.Sequence != c.marked:
		c.marked = last.Sequence
		return s.attempt(ctx, c)
	case err != nil && c.marked != 0: // the mark was swept up meanwhile
		c.marked = 0
		return s.attempt(ctx, c)
	case c.unsure: // somebody has changed it; nobody knows whether after us
		return 0, fmt.Errorf("%w: whether it was changed before %w", ErrUnavailable, refused)
	}
	return 0, refused
}

// last returns the last message of a subject, as the leader has it.
func (s *natsStore) last(ctx context.Context, subject string) (*jetstream.RawStreamMsg, error) {
	stream, err := s.stateStream()
	if err != nil {
		return nil, err
	}
	m, err := stream.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, ErrNotFound
	}
	return m, told(err)
}

// deletion tells whether a message is what is left of an entry.
func deletion(h nats.Header) bool {
	return h.Get("KV-Operation") != "" || h.Get("Nats-Marker-Reason") != ""
}

func (s *natsStore) Get(ctx context.Context, key string) (Entry, error) {
	if err := checkKey(key); err != nil {
		return Entry{}, err
	}
	m, err := s.last(ctx, "$KV."+s.bucket("state")+"."+key)
	if err == nil && deletion(m.Header) {
		err = ErrNotFound
	}
	if err != nil {
		return Entry{}, fmt.Errorf("getting %s: %w", key, err)
	}
	return Entry{Key: key, Value: m.Data, Revision: m.Sequence}, nil
}

func (s *natsStore) Put(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if err := checkPut(key, value); err != nil {
		return 0, err
	}
	now, err := s.do(ctx, s.newChange(key, value, revision))
	if err != nil {
		return 0, fmt.Errorf("putting %s: %w", key, err)
	}
	return now, nil
}

func (s *natsStore) Delete(ctx context.Context, key string, revision uint64) error {
	if err := checkKey(key); err != nil {
		return err
	}
	c := s.newChange(key, nil, revision)
	c.deletes = true
	if _, err := s.do(ctx, c); err != nil {
		return fmt.Errorf("deleting %s: %w", key, err)
	}
	return nil
}
