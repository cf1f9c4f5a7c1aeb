package relay

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/stream-pump/stream-pump/mmsh"
)

// Visitor is a viewer who comes to the house.
type Visitor struct {
	Stream string         // path
	Target string         // of the request to the pump: path and query
	Remote netip.AddrPort // who he is, behind proxies that are trusted
	Bits   int64          // bit/s of the stream, as far as that is known
}

// Serve hands a request's connection to the own pump once that delivers the stream. On an error nothing was answered:
// the caller does.
func (r *Relay) Serve(w http.ResponseWriter, q *http.Request, v Visitor) error {
	if err := r.enter(v.Stream, v.Bits); err != nil {
		return r.refused(v, err)
	}
	defer r.leave(v.Stream, v.Bits)
	if err := r.await(q.Context(), v.Stream); err != nil {
		return r.refused(v, err)
	}
	return r.handOver(w, q, v)
}

// refused logs and counts who is not served; of many at once in one line.
func (r *Relay) refused(v Visitor, err error) error {
	if errors.Is(err, ErrFull) {
		r.full.Add(1)
	}
	r.repeats.Log(slog.LevelWarn, v.Stream+err.Error(), "a viewer is not served by the house itself",
		slog.String("stream", v.Stream), slog.String("address", v.Remote.String()), slog.String("reason", err.Error()))
	return err
}

func (r *Relay) handOver(w http.ResponseWriter, q *http.Request, v Visitor) error {
	c, rest, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return fmt.Errorf("the connection cannot be taken over: %w", err)
	}
	head, err := headOf(q, v.Target)
	if err == nil {
		ahead, _ := rest.Reader.Peek(rest.Reader.Buffered()) // it has them
		err = (*r.pump.Load()).Adopt(bare(c), v.Remote, append(head, ahead...), q.TLS != nil)
	}
	if err != nil { // it is too late for an answer of net/http
		_ = r.refused(v, err)
		_ = c.SetDeadline(time.Now().Add(time.Second))
		_, _ = c.Write(mmsh.AppendError(nil, mmsh.ErrorParams{Status: http.StatusServiceUnavailable, Text: ErrFull.Error(), RetryAfter: 5 * time.Second}))
		_ = c.Close()
	}
	return nil
}

// bare returns the connection under one that has nothing to add any more.
func bare(c net.Conn) net.Conn {
	if b, ok := c.(interface{ Bare() net.Conn }); ok {
		return b.Bare()
	}
	return c
}

// headOf is the request's head for the pump.
func headOf(q *http.Request, target string) ([]byte, error) {
	h := q.Header.Clone()
	for _, name := range [...]string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-Ip"} { // the house has read them
		h.Del(name)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s %s\r\nHost: %s\r\n", q.Method, target, q.Proto, q.Host)
	if err := h.Write(&b); err != nil {
		return nil, err
	}
	b.WriteString("\r\n")
	return b.Bytes(), nil
}
