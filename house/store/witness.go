package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/nats-io/nats.go/jetstream"
)

// A server that finds its files cut or garbled goes on with what it can read of them: a house
// would come up with no pumps and a new authority, as if it were the first. So a house that is
// alone writes down beside them how much is kept, and does not start with less.

// witness is how far the store was.
type witness struct {
	Format   int    `json:"format"`             // of everything that is kept
	Revision uint64 `json:"revision"`           // of the last change
	Entries  uint64 `json:"entries"`            // at least, marks of deleted ones as well
	Identity string `json:"identity,omitempty"` // of a store at other servers
}

// format is what this program writes, and the newest that it reads.
const format = 1

// ErrDamaged says that less is there than was kept.
var ErrDamaged = errors.New("the store is damaged")

// ErrNewer says that the store was written by a program that knows more than this one.
var ErrNewer = errors.New("the store was written by a newer pump-house")

func witnessFile(dir string) string { return filepath.Join(dir, "kept") }

// readWitness returns what was written down; nothing if there is none, or none that can be read:
// it is a help, and no reason to refuse a store that is whole.
func readWitness(dir string) (witness, error) { return readWitnessFile(witnessFile(dir)) }

func readWitnessFile(name string) (w witness, err error) {
	text, err := os.ReadFile(name) // #nosec G304 -- in the operator's folder
	if err != nil || json.Unmarshal(text, &w) != nil {
		return witness{}, nil
	}
	if w.Format > format {
		return w, fmt.Errorf("%w: %s is of format %d, and this one knows %d; start the newer program, or put back a copy of that folder from before", ErrNewer, filepath.Dir(name), w.Format, format)
	}
	return w, nil
}

// write replaces what was written down in a file, whole.
func (w witness) write(name string) error {
	text, err := json.Marshal(w)
	if err != nil {
		return err
	}
	next := name + ".next"
	if err := os.WriteFile(next, text, 0o600); err != nil {
		return err
	}
	if err := syncEntry(next, false); err != nil {
		return err
	}
	return os.Rename(next, name)
}

// witnessed tells whether this store's own files have a witness: one of a cluster gets what it has
// lost from the others, and of servers somewhere else it is written down which store they had (lost.go).
func (s *natsStore) witnessed() bool { return s.embedded != nil && s.embedded.syncer != nil }

// verify checks that everything is there and can be read.
func (s *natsStore) verify(ctx context.Context) error {
	if !s.witnessed() {
		return nil
	}
	kept, err := readWitness(s.opts.Dir)
	if err != nil {
		return err
	}
	info, err := s.pulse.Info(ctx)
	if err != nil {
		return fmt.Errorf("looking at what is kept: %w", told(err))
	}
	there := uint64(0)
	for at := uint64(1); ; there++ {
		m, err := s.stream.GetMsg(ctx, at, jetstream.WithGetMsgSubject("$KV."+s.bucket("state")+".>"))
		var api *jetstream.APIError
		if errors.Is(err, jetstream.ErrMsgNotFound) || errors.As(err, &api) {
			break // there are no more, or no more that can be read
		}
		if err != nil {
			return fmt.Errorf("looking at what is kept: %w", told(err))
		}
		at = m.Sequence + 1
	}
	if there < max(info.State.Msgs, kept.Entries) || info.State.LastSeq < kept.Revision {
		return fmt.Errorf("%w: %s has %d entries that can be read, up to revision %d, and had %d, up to %d; put back a copy of that folder, or move it away to begin anew: the roster, the keys and the certificates of pumps are in it",
			ErrDamaged, s.opts.Dir, there, info.State.LastSeq, max(info.State.Msgs, kept.Entries), max(info.State.LastSeq, kept.Revision))
	}
	return nil
}

// note writes down how far the store is, once all of that is on the disk. Fewer is how many
// entries are about to go for good. The caller holds noting.
func (s *natsStore) note(info *jetstream.StreamInfo, fewer int) error {
	next := witness{Format: format, Revision: info.State.LastSeq, Entries: info.State.Msgs - min(info.State.Msgs, uint64(fewer))}
	name := s.opts.Kept
	if s.witnessed() {
		name = witnessFile(s.opts.Dir)
	} else {
		next.Identity = s.identity
	}
	if name == "" || !s.witnessed() && (s.lost.Load() != nil || info.Created.UnixNano() != s.epoch.Load()) || s.going || next == s.noted || info.State.LastSeq < s.noted.Revision {
		return nil
	}
	var err error
	if s.embedded != nil {
		err = s.embedded.flush()
	}
	if err == nil {
		err = next.write(name)
	}
	if err != nil {
		return fmt.Errorf("noting how much is kept: %w", err)
	}
	s.noted = next
	return nil
}

// noteNow is note for who has not just asked the leader.
func (s *natsStore) noteNow(ctx context.Context, fewer int) error {
	s.noting.Lock()
	defer s.noting.Unlock()
	s.mu.Lock()
	pulse := s.pulse
	s.mu.Unlock()
	if pulse == nil {
		return ErrUnavailable
	}
	info, err := pulse.Info(ctx)
	if err != nil {
		return told(err)
	}
	if err := s.note(info, fewer); err != nil {
		return err
	}
	s.going = fewer > 0
	return nil
}

// gone ends what noteNow began with entries that go.
func (s *natsStore) gone() {
	s.noting.Lock()
	defer s.noting.Unlock()
	s.going = false
}

// noteLast writes down how far the store has come when it is closed.
func (s *natsStore) noteLast() {
	if !s.witnessed() && s.opts.Kept == "" || s.nc == nil || !s.nc.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), pulseWithin)
	defer cancel()
	if err := s.noteNow(ctx, 0); err != nil {
		s.log.Debug("how much is kept cannot be noted", slog.Any("error", err))
	}
}
