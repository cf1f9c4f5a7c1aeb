package server

import (
	"container/list"
	"crypto/rand"
	"encoding/binary"
	"sync"
	"time"
)

// maxSessions bounds the memory of client-ids: past it the longest idle is forgotten.
const maxSessions = 1 << 16

// session is what a client-id stands for. Nothing breaks when one is forgotten: the
// client gets a new one. [MS-WMSP] 3.2.1.
type session struct {
	id        uint32 // never changes; the others are guarded by sessions.mu
	streaming bool
	seen      time.Time
	place     *list.Element // in sessions.idle, nil while streaming
}

// sessions are the client-ids in use. Safe from any goroutine; only requests come here,
// never packets.
type sessions struct {
	mu   sync.Mutex
	byID map[uint32]*session
	idle *list.List // of *session, longest idle first
	now  func() time.Time
}

func newSessions(now func() time.Time) *sessions {
	return &sessions{byID: map[uint32]*session{}, idle: list.New(), now: now}
}

// touch returns the session with an id and restarts its idle time; nil when it is not
// known.
func (s *sessions) touch(id uint32) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.byID[id]
	if t != nil {
		t.seen = s.now()
		if t.place != nil {
			s.idle.MoveToBack(t.place)
		}
	}
	return t
}

// known tells whether an id is in use.
func (s *sessions) known(id uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[id] != nil
}

// playing tells whether a session is streaming at this moment.
func (s *sessions) playing(t *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return t.streaming
}

// create returns a new idle session with an id that cannot be guessed.
func (s *sessions) create() *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &session{id: s.freeID(), seen: s.now()}
	s.byID[t.id] = t
	t.place = s.idle.PushBack(t)
	if s.idle.Len() > maxSessions {
		s.forget(s.idle.Front().Value.(*session))
	}
	return t
}

// freeID is called with s.mu held.
func (s *sessions) freeID() uint32 {
	for {
		var b [4]byte
		_, _ = rand.Read(b[:]) // never fails
		if id := binary.LittleEndian.Uint32(b[:]); id != 0 && s.byID[id] == nil {
			return id
		}
	}
}

// stream marks a session as streaming; false when it is already, which may be somebody
// else's attempt to take it over.
func (s *sessions) stream(t *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.streaming {
		return false
	}
	t.streaming = true
	if t.place != nil {
		s.idle.Remove(t.place)
		t.place = nil
	}
	s.byID[t.id] = t
	return true
}

// release ends a session's play; it stays known for the idle time.
func (s *sessions) release(t *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.streaming, t.seen = false, s.now()
	if t.place == nil {
		t.place = s.idle.PushBack(t)
	}
}

// sweep forgets the sessions that have been idle for longer than limit.
func (s *sessions) sweep(limit time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := s.idle.Front(); e != nil; e = s.idle.Front() {
		t := e.Value.(*session)
		if s.now().Sub(t.seen) <= limit {
			return
		}
		s.forget(t)
	}
}

func (s *sessions) forget(t *session) {
	s.idle.Remove(t.place)
	t.place = nil
	delete(s.byID, t.id)
}
