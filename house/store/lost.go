package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Servers can come back with other files than they had: emptied, put back from an old copy, or those of
// another account. A house that took what it finds there for the truth would have no pumps, or those of
// last week. So a house knows its store by a word in it, and by the last revision that was there. It
// holds to what it knows while the store is another one or has less, takes no change, and follows again
// when the store is back. For its next start that is written down in [Options.Kept].

// ErrLost says that the store is another one than the house has known, or has less than it had.
var ErrLost = errors.New("the store has lost what was kept")

// lostError is an [ErrLost], and an [ErrUnavailable] as long as it lasts.
type lostError struct{ text string }

func (e *lostError) Error() string { return ErrLost.Error() + ": " + e.text }

func (e *lostError) Is(target error) bool { return target == ErrLost || target == ErrUnavailable }

// How many pulses in a row have to say so. A leader that the others have given up already may answer
// for ten seconds more, with what it had.
const (
	goneAfter = 3
	lessAfter = 15
)

// keyIdentity is the entry that tells stores at other servers apart: a random word from when each was
// made. What NATS says of that time changes with its restarts. Watches do not yield it.
const keyIdentity = "identity"

// recall reads what was written down of the store at other servers.
func (s *natsStore) recall() error {
	if s.embedded != nil || s.opts.Kept == "" {
		return nil
	}
	kept, err := readWitnessFile(s.opts.Kept)
	if err != nil || kept.Identity == "" {
		return err
	}
	s.noted, s.identity = kept, kept.Identity
	s.latest.Store(kept.Revision)
	return nil
}

// recognise sees that the store at other servers has an identity. Without one a house works, but does
// not notice that it has another store.
func (s *natsStore) recognise(ctx context.Context) {
	if s.embedded != nil || s.opts.Kept == "" || s.identity != "" {
		return
	}
	made := rand.Text()
	_, err := s.Put(ctx, keyIdentity, []byte(made), Absent)
	if errors.Is(err, ErrChanged) {
		made, err = s.identified(ctx)
	}
	if err != nil {
		s.log.Warn("the store cannot be given an identity", slog.Any("error", err))
		return
	}
	s.identity = made
}

func (s *natsStore) identified(ctx context.Context) (string, error) {
	m, err := s.last(ctx, "$KV."+s.bucket("state")+"."+keyIdentity)
	if err != nil {
		return "", err
	}
	return string(m.Data), nil
}

// known returns nil if the store is the one that is known, or none is known yet; then it may be made.
func (s *natsStore) known(ctx context.Context) error {
	if s.epoch.Load() == 0 && s.identity == "" {
		return nil
	}
	return s.same(ctx)
}

// same returns nil if the store is the one that is known, and has all that is known to be there.
func (s *natsStore) same(ctx context.Context) error {
	known := s.latest.Load()
	stream, err := s.js.Stream(ctx, "KV_"+s.bucket("state"))
	if err == nil {
		var what string
		if what, err = s.less(ctx, known, stream); err == nil && what == "" {
			return nil
		} else if what != "" {
			return s.told(what, false)
		}
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return s.told(notThere, false)
	}
	return fmt.Errorf("looking at the bucket of the state: %w", told(err))
}

const notThere = "it is not there"

// less says what is wrong with a store that was just asked for, nothing if it is the one that is known and
// goes as far as is known.
func (s *natsStore) less(ctx context.Context, known uint64, stream jetstream.Stream) (string, error) {
	info := stream.CachedInfo()
	made := info.Created.UnixNano()
	if s.identity != "" && s.epoch.Load() != made {
		m, err := stream.GetLastMsgForSubject(ctx, "$KV."+s.bucket("state")+"."+keyIdentity)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound), err == nil && string(m.Data) != s.identity:
			return "it is another one than this house knows, of " + info.Created.UTC().Format(time.DateTime) + " UTC", nil
		case err != nil:
			return "", err
		}
		s.epoch.Store(made)
	}
	if info.State.LastSeq < known {
		return fmt.Sprintf("it goes to revision %d, and went to %d", info.State.LastSeq, known), nil
	}
	return "", nil
}

// missed tells whether a pulse was of another store, or of one with less than was known before; after
// several of them the store counts as lost, until a pulse is right.
func (s *natsStore) missed(ctx context.Context, known uint64, stream jetstream.Stream, err error) bool {
	what := ""
	if err == nil {
		what, err = s.less(ctx, known, stream)
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		what, err = notThere, nil
	}
	switch {
	case err != nil:
		return false // nobody can tell
	case what == "":
		s.astray = 0
		if s.lost.Swap(nil) != nil {
			s.log.Info("the store is there again, with all that was kept; it is followed again")
			s.again()
		}
		return false
	}
	after := goneAfter
	if stream.CachedInfo().Created.UnixNano() == s.epoch.Load() && what != notThere {
		after = lessAfter
	}
	if s.astray++; s.astray >= after {
		e := s.told(what, true)
		if s.lost.Swap(e) == nil {
			s.log.Error("the store has lost what was kept: this house goes on with what it knows, and takes no changes", slog.String("what", e.text))
		}
	}
	return true
}

// told says what is wrong with the store, and what would be right.
func (s *natsStore) told(what string, runs bool) *lostError {
	where, file := s.servers(), s.opts.Kept
	if s.embedded != nil {
		where, file = s.opts.Dir, s.opts.Dir
	}
	export := "the roster that was exported is put back with `pump-house roster import ROSTER`"
	if runs {
		export = "keep what this house knows first, with `pump-house roster export > ROSTER`, and put it back with `pump-house roster import ROSTER`"
	}
	return &lostError{fmt.Sprintf("the bucket %s at %s: %s. Start the servers with the files they had, or name the right ones: nats.urls, the account of nats.credentials or user, nats.prefix. "+
		"To begin anew with what is there, stop the house, move away %s and start it; %s", s.bucket("state"), where, what, file, export)}
}
