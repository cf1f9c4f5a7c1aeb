package store

import (
	"context"
	"encoding/binary"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The store's pulse: once a second the leader is asked how far the store is. That tells
// whether changes are taken at all, and what a watch must have yielded by now. Who has made a
// change says so at once: a watch of a server that has died is silent for ten seconds or more
// before anybody notices.
const (
	pulseEvery  = time.Second
	pulseWithin = time.Second
	silentFor   = 10 * time.Second // without a pulse: no changes are taken
	announced   = "revision"       // subject on the bus
)

func (s *natsStore) beat() {
	tick := time.NewTicker(pulseEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
			s.feel()
		}
	}
}

func (s *natsStore) feel() {
	s.mu.Lock()
	stream := s.pulse
	s.mu.Unlock()
	if !s.nc.IsConnected() {
		if err := s.nc.LastError(); err != nil { // the library tells of some of them only so
			s.away(unreachable, err)
		}
		return
	}
	if stream == nil {
		return
	}
	ctx, cancel := context.WithTimeout(s.ctx, pulseWithin)
	defer cancel()
	s.noting.Lock()
	defer s.noting.Unlock()
	known := s.latest.Load()
	info, err := stream.Info(ctx)
	if s.missed(ctx, known, stream, err) {
		return
	}
	if err != nil {
		if s.ctx.Err() == nil {
			s.log.Debug("the store has no leader, or cannot be asked", slog.Any("error", err))
		}
		return
	}
	s.reached(info.State.LastSeq)
	if err := s.note(info, 0); err != nil {
		s.log.Debug("store", slog.Any("error", err))
	}
}

// reached notes that the store has come to a revision, and lets watches look that are not there.
func (s *natsStore) reached(revision uint64) {
	s.answered.Store(time.Now().UnixNano())
	for {
		old := s.latest.Load()
		if revision <= old {
			return
		}
		if s.latest.CompareAndSwap(old, revision) {
			break
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for f := range s.followers {
		f.wake()
	}
}

// announce tells other houses of a revision, who find out by themselves a moment later.
func (s *natsStore) announce(revision uint64) {
	_ = s.nc.Publish(s.bus.subject(announced), binary.BigEndian.AppendUint64(nil, revision)) // see above
}

// listen hears what other houses announce.
func (s *natsStore) listen() error {
	_, err := s.nc.Subscribe(s.bus.subject(announced), func(m *nats.Msg) {
		if len(m.Data) == 8 {
			s.reached(binary.BigEndian.Uint64(m.Data))
		}
	})
	return err
}

// silent tells whether the store has not answered for a while.
func (s *natsStore) silent() bool {
	return time.Since(time.Unix(0, s.answered.Load())) > silentFor
}

// stateStream returns the stream behind the bucket of the state.
func (s *natsStore) stateStream() (jetstream.Stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stream == nil {
		return nil, ErrUnavailable
	}
	return s.stream, nil
}
