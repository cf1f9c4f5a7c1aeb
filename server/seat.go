package server

import (
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/stream"
)

// seat is the cold side of a viewer: who it is, and the place it takes.
type seat struct {
	id     uint64
	stream *stream.Stream
	client uint32 // client-id, 0 for none
	remote netip.AddrPort
	agent  string

	outside  string // id in another system
	user, by string // what the gate let the viewer in with
	visit    string // what the gate calls this viewing
	gate     Gate   // to be told of the end; nil until it has allowed the beginning
	ends     int64  // ns, when the viewer's time is over; 0 for never

	old     bool    // of the second class: below version 9
	fixed   bool    // cannot follow a change of the header
	relay   bool    // another pump
	from    *uint32 // LocationId that a relay goes on with, nil for none
	plain   bool    // plain ASF
	tls     bool
	since   time.Time
	asked   int64  // ns, when the request was whole
	start   uint64 // packet that it begins with
	slipped bool   // it joins without a burst; of who writes to it
	ticket  *access.Ticket

	session  *session // nil for plain ASF
	sessions *sessions
}

// release lets the viewer's client-id play again.
func (t *seat) release() {
	if t.session != nil {
		t.sessions.release(t.session)
	}
}

var seats atomic.Uint64

// maxAgent is how much of a User-Agent is kept, in bytes. It is copied: a piece of the
// request would keep the whole of it for as long as the viewer stays.
const maxAgent = 200

// newSeat reserves a place for whoever asks to watch a stream. The seat is to be entered
// and left, or its ticket released.
func (s *Server) newSeat(r *request, st *stream.Stream) (*seat, error) {
	ticket, err := s.opts.Limits.Admit(s.placeFor(st, r.remote.Addr(), r.mmsh.Relay))
	if err != nil {
		return nil, err
	}
	agent, a := r.UserAgent(), r.mmsh.Agent
	t := &seat{
		id: seats.Add(1), stream: st, remote: r.remote, agent: strings.Clone(agent[:min(len(agent), maxAgent)]),
		old: a.Old(), fixed: isFixed(a), relay: ticket.Pump(), since: time.Now(), asked: stream.Monotonic(), ticket: ticket, tls: r.tls,
	}
	t.identify(r.visit)
	return t, nil
}

// isFixed tells whether a player is better off with the end of the stream than with a
// new header: VLC, which calls itself NSPlayer 7.10, takes one for a packet and may then
// hang for ever.
func isFixed(a mmsh.Agent) bool { return a.MMSH && a.Major == 7 && a.Minor == 10 }

// enter notes that the viewer is there.
func (s *Server) enter(t *seat) {
	t.stream.ViewerJoined()
	s.watching.Add(1)
	s.tellJoined(t)
	s.log.Debug("viewer joined", "stream", t.stream.Path(), "address", t.remote.String(), "client_id", t.outside, "user", t.user)
}

// leave gives the place back and remembers the viewer.
func (s *Server) leave(t *seat, v Viewer, why Reason) {
	t.ticket.Joined()
	t.ticket.Release()
	t.stream.ViewerLeft()
	s.watching.Add(-1)
	t.release()
	t.stream.Metrics().ViewersEnded(string(why)).Inc()
	if why.Dropped() {
		t.stream.Metrics().ViewersDropped(string(why)).Inc()
	}
	v.Reason, v.Left = why, time.Now()
	s.closed.add(v)
	t.ended(v)
	s.tellLeft(v)
	s.log.Debug("viewer left", "stream", v.Stream, "address", v.Address, "client_id", v.ClientID, "user", v.User, "reason", string(why),
		"bytes", v.BytesOut, "skipped_packets", v.Skipped, "connected", time.Since(t.since).Round(time.Millisecond))
}

// describe returns what is known of the viewer, apart from its figures.
func (t *seat) describe() Viewer {
	kind := KindMMSH
	if t.plain {
		kind = KindASF
	}
	return Viewer{
		ID: strconv.FormatUint(t.id, 10), ClientID: t.outside, User: t.user, By: t.by, SessionID: t.client, Visit: t.visit, Stream: t.stream.Path(), Address: t.remote.String(), Remote: t.remote,
		UserAgent: t.agent, Kind: kind, Relay: t.relay, TLS: t.tls, Connected: t.since,
	}
}
