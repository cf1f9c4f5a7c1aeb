package agentx

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"time"

	"github.com/stream-pump/stream-pump/telemetry"
)

// Options are what an agent is made with. Network, Address, Subtree and Tree are required.
type Options struct {
	Network, Address string      // of the master: unix or tcp
	Subtree          OID         // everything at and below it is asked of this agent
	Description      string      // of this agent, for the master's log
	Tree             func() Tree // the values as they are; asked once a request, by the agent's goroutine
	Log              *slog.Logger

	Ping    time.Duration // silence after which a master is asked for a sign of life; default 15 s
	Answer  time.Duration // what it may take for that, and for everything else; default 5 s
	WaitMin time.Duration // before it is connected to again, doubling from here; default 500 ms
	WaitMax time.Duration // to here; default 5 s
}

func (o Options) withDefaults() Options {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&o.Ping, 15*time.Second)
	def(&o.Answer, 5*time.Second)
	def(&o.WaitMin, 500*time.Millisecond)
	def(&o.WaitMax, 5*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

const (
	registerPriority = 127 // the usual one (RFC 2741, 6.2.3)
	repeatsEvery     = time.Minute
	farewellTime     = time.Second
	closeShutdown    = 5 // reason of a close: the agent ends
)

// Run serves the master until ctx is done, and comes back to it whenever it was away.
func Run(ctx context.Context, o Options) {
	o = o.withDefaults()
	lines := telemetry.NewRepeats(o.Log, telemetry.RepeatsOptions{Every: repeatsEvery})
	defer lines.Close()
	began, wait := time.Now(), o.WaitMin
	for {
		s := &session{Options: o, began: began}
		err := s.run(ctx)
		if ctx.Err() != nil {
			return
		}
		if s.registered {
			wait = o.WaitMin
		}
		lines.Log(slog.LevelWarn, err.Error(), "the SNMP master agent is away", slog.String("address", o.Address), slog.Any("reason", err))
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait/2 + rand.N(wait/2+1)): // #nosec G404 -- no secret
		}
		wait = min(2*wait, o.WaitMax)
	}
}

// session is one connection with a master.
type session struct {
	Options
	began      time.Time
	conn       net.Conn
	br         *bufio.Reader
	id         uint32
	packets    uint32
	registered bool
	payload    []byte // of the message that was read last
}

// run lives as long as the connection does.
func (s *session) run(ctx context.Context) (err error) {
	dialer := net.Dialer{Timeout: s.Answer}
	if s.conn, err = dialer.DialContext(ctx, s.Network, s.Address); err != nil {
		return err
	}
	defer func() { _ = s.conn.Close() }()
	// Whoever waits for the master is woken when the agent is to end.
	defer context.AfterFunc(ctx, func() { _ = s.conn.SetReadDeadline(time.Now()) })()
	s.br = bufio.NewReader(s.conn)
	if err = s.enter(ctx); err == nil {
		s.registered = true
		s.Log.Info("registered with the SNMP master agent", slog.String("address", s.Address), slog.String("oid", s.Subtree.String()))
		err = s.serve(ctx)
	}
	if ctx.Err() != nil {
		s.farewell()
	}
	return err
}

// enter opens a session and registers the subtree.
func (s *session) enter(ctx context.Context) error {
	w := newWriter(typeOpen, 0, 0, s.packet())
	w.bytes(byte(s.Answer/time.Second), 0, 0, 0)
	w.oid(s.Subtree)
	w.octets(s.Description[:min(len(s.Description), maxText)])
	h, err := s.ask(ctx, w)
	if err != nil {
		return fmt.Errorf("opening a session: %w", err)
	}
	s.id = h.session
	w = newWriter(typeRegister, s.id, 0, s.packet())
	w.bytes(0, registerPriority, 0, 0)
	w.oid(s.Subtree)
	if _, err := s.ask(ctx, w); err != nil {
		return fmt.Errorf("registering %s: %w", s.Subtree, err)
	}
	return nil
}

// packet numbers the messages of this side.
func (s *session) packet() uint32 {
	s.packets++
	return s.packets
}

// ask sends a message and waits for its response; nothing else may come before.
func (s *session) ask(ctx context.Context, w *writer) (header, error) {
	if err := s.write(w.message()); err != nil {
		return header{}, err
	}
	h, err := s.read(ctx, s.Answer)
	if err != nil {
		return h, err
	}
	if h.kind != typeResponse || h.packet != s.packets {
		return h, fmt.Errorf("the master answers with a message of type %d", h.kind)
	}
	return h, s.refusal(h)
}

// refusal returns the error of a response.
func (s *session) refusal(h header) error {
	if len(s.payload) < 8 {
		return errShort
	}
	if code := h.order().Uint16(s.payload[4:]); code != noError {
		return fmt.Errorf("the master refuses: %s", reason(code))
	}
	return nil
}

// serve answers the master until the connection ends.
func (s *session) serve(ctx context.Context) error {
	asked := false // for a sign of life, without an answer yet
	for {
		wait := s.Ping
		if asked {
			wait = s.Answer
		}
		h, err := s.read(ctx, wait)
		switch {
		case errors.Is(err, errSilent) && !asked && ctx.Err() == nil:
			asked = true
			err = s.write(newWriter(typePing, s.id, 0, s.packet()).message())
		case err != nil:
		case h.kind == typeResponse: // of a ping
			err = s.refusal(h)
			asked = false
		case h.kind == typeClose:
			err = errors.New("the master has closed the session")
		default:
			asked = false
			err = s.respond(h)
		}
		if err != nil {
			return err
		}
	}
}

func (s *session) respond(h header) error {
	response, ok := answer(h, s.payload, s.Tree, time.Since(s.began))
	if !ok {
		return fmt.Errorf("the master sends a message of type %d", h.kind)
	}
	if response == nil {
		return nil
	}
	return s.write(response)
}

// errSilent says that no message has begun within the time.
var errSilent = errors.New("the master is silent")

// read returns the next message, whose payload is in s.payload until the next call.
func (s *session) read(ctx context.Context, wait time.Duration) (header, error) {
	s.deadline(ctx, wait)
	if _, err := s.br.Peek(1); errors.Is(err, os.ErrDeadlineExceeded) {
		return header{}, errSilent
	} else if err != nil {
		return header{}, lost(err)
	}
	s.deadline(ctx, s.Answer)
	var head [headerSize]byte
	if _, err := io.ReadFull(s.br, head[:]); err != nil {
		return header{}, lost(err)
	}
	h, err := parseHeader(head[:])
	if err != nil {
		return h, err
	}
	if cap(s.payload) < h.payload {
		s.payload = make([]byte, h.payload)
	}
	s.payload = s.payload[:h.payload]
	if _, err := io.ReadFull(s.br, s.payload); err != nil {
		return h, lost(err)
	}
	return h, nil
}

func lost(err error) error { return fmt.Errorf("the connection is lost: %w", err) }

// deadline bounds the next read. When the agent is to end, there is none any more.
func (s *session) deadline(ctx context.Context, wait time.Duration) {
	_ = s.conn.SetReadDeadline(time.Now().Add(wait))
	if ctx.Err() != nil { // it may have been lifted just now
		_ = s.conn.SetReadDeadline(time.Now())
	}
}

func (s *session) write(message []byte) error {
	_ = s.conn.SetWriteDeadline(time.Now().Add(s.Answer))
	_, err := s.conn.Write(message)
	return err
}

// farewell closes the session in order, so that the master forgets the subtree at once.
func (s *session) farewell() {
	w := newWriter(typeClose, s.id, 0, s.packet())
	w.bytes(closeShutdown, 0, 0, 0)
	_ = s.conn.SetWriteDeadline(time.Now().Add(farewellTime))
	_, _ = s.conn.Write(w.message())
}
