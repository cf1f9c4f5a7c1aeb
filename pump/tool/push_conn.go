package tool

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/mmsh"
)

// pushConn is one connection of an encoder, [MS-WMHTTP] 3.1. Besides its owner there is
// one goroutine that waits for the reply, which may come at any time.
type pushConn struct {
	to     address
	conn   net.Conn
	br     *bufio.Reader // the waiting goroutine's while reply is not nil
	id     string        // push-id
	auth   string        // Authorization of the next PushSetup
	length int64         // of each body
	left   int64         // bytes that the present body still wants
	reply  chan reply    // of the present PushStart; nil between two
	buf    []byte
}

type reply struct {
	resp *http.Response
	err  error
}

// open connects, sets a session up, with credentials if the server asks for them, and
// begins the first body.
func (p *pusher) open(ctx context.Context) (*pushConn, error) {
	c := &pushConn{to: p.to, length: p.opts.bodyLength}
	for attempt := 0; ; attempt++ {
		conn, err := p.to.connect(ctx, connectTime, p.opts.Insecure)
		if err != nil {
			return nil, err
		}
		c.conn, c.br = conn, bufio.NewReader(conn)
		again, err := c.setup(ctx, attempt > 0)
		if err == nil && !again {
			break
		}
		_ = conn.Close()
		if err != nil {
			return nil, err
		}
	}
	if err := c.begin(); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// setup is PushSetup, [MS-WMHTTP] 2.2.2.1. again asks for another try on a new
// connection, with the answer to the server's challenge.
func (c *pushConn) setup(ctx context.Context, answered bool) (again bool, err error) {
	defer c.watch(ctx)()
	_ = c.conn.SetDeadline(time.Now().Add(answerTime))
	head := mmsh.PushSetupHeader(c.id)
	if err := c.request(head, 0); err != nil {
		return false, c.lost("asking for a session", err)
	}
	resp, err := http.ReadResponse(c.br, &http.Request{Method: http.MethodPost})
	if err != nil {
		return false, c.lost("waiting for a session", err)
	}
	if id := mmsh.PushIDOf(resp.Header); id != "" {
		c.id = id
	}
	switch {
	case resp.StatusCode == http.StatusUnauthorized && !answered && (c.to.user != "" || c.to.password != ""):
		c.auth, err = access.Authorization(resp.Header.Values("WWW-Authenticate"), http.MethodPost, c.to.target, c.to.user, c.to.password)
		if err != nil {
			return false, fmt.Errorf("%s asks for credentials: %w", c.to, err)
		}
		return true, nil
	case resp.StatusCode/100 != 2:
		return false, c.refused(resp)
	case !mmsh.ValidPushID(c.id):
		return false, fmt.Errorf("%s takes no pushes: it answered without a push-id", c.to)
	}
	_, _ = io.CopyN(io.Discard, resp.Body, maxRefusal)
	c.auth = "" // the push-id stands for it from now on
	return false, nil
}

// watch cuts an exchange short when ctx ends.
func (c *pushConn) watch(ctx context.Context) func() bool {
	conn := c.conn
	return context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
}

// request writes the head of a POST whose body will have the promised length.
func (c *pushConn) request(h http.Header, promised int64) error {
	var b strings.Builder
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\n", c.to.target, c.to.host)
	if c.auth != "" {
		h.Set("Authorization", c.auth)
	}
	h.Set("Content-Length", strconv.FormatInt(promised, 10))
	_ = h.Write(&b)
	b.WriteString("\r\n")
	_, err := c.conn.Write([]byte(b.String()))
	return err
}

// begin starts a body, PushStart [MS-WMHTTP] 2.2.2.2.
func (c *pushConn) begin() error {
	_ = c.conn.SetDeadline(time.Time{})
	_ = c.conn.SetWriteDeadline(time.Now().Add(writeTime))
	if err := c.request(mmsh.PushStartHeader(c.id), c.length); err != nil {
		return c.lost("beginning to push", err)
	}
	c.left = c.length
	c.reply = make(chan reply, 1)
	go func(to chan<- reply, br *bufio.Reader) {
		resp, err := http.ReadResponse(br, &http.Request{Method: http.MethodPost})
		to <- reply{resp, err}
	}(c.reply, c.br)
	return nil
}

func (c *pushConn) close() { _ = c.conn.Close() }

// header sends the header of the stream.
func (c *pushConn) header(asfHeader []byte) (err error) {
	if c.buf, err = mmsh.AppendPushHeader(c.buf[:0], asfHeader); err != nil {
		return err
	}
	return c.send(c.buf)
}

// packet sends one packet, in a new body when the present one has no room left.
func (c *pushConn) packet(packet []byte) (err error) {
	if c.buf, err = mmsh.AppendPushData(c.buf[:0], packet); err != nil {
		return err
	}
	if int64(len(c.buf)) > c.left-fillerRoom {
		if err := c.renew(); err != nil {
			return err
		}
	}
	return c.send(c.buf)
}

// fillerRoom is kept free so that a body can always be filled up exactly: a filler is at
// least its framing header.
const fillerRoom = 2 * mmsh.FrameHeadSize

// renew fills the body up, waits for the reply and begins another, [MS-WMHTTP] 3.1.4.2.2.
func (c *pushConn) renew() error {
	var filler []byte
	for left := c.left; left > 0; {
		n := min(left, mmsh.FrameHeadSize+mmsh.MaxFiller)
		if rest := left - n; rest > 0 && rest < mmsh.FrameHeadSize {
			n -= mmsh.FrameHeadSize
		}
		var err error
		if filler, err = mmsh.AppendFiller(filler, int(n)-mmsh.FrameHeadSize); err != nil {
			return err
		}
		left -= n
	}
	if err := c.send(filler); err != nil {
		return err
	}
	if err := c.finished(); err != nil {
		return err
	}
	return c.begin()
}

// end tells the server that the stream is over.
func (c *pushConn) end() error {
	if err := c.send(mmsh.AppendEnd(nil, mmsh.ReasonEnd)); err != nil {
		return err
	}
	return c.finished()
}

// finished waits for the reply to a body that is complete or ended.
func (c *pushConn) finished() error {
	_ = c.conn.SetReadDeadline(time.Now().Add(answerTime))
	r := <-c.reply
	c.reply = nil
	if r.err != nil {
		return c.lost("waiting for the server's word on the end", r.err)
	}
	if r.resp.StatusCode/100 != 2 {
		return c.refused(r.resp)
	}
	return nil
}

// await waits until a time; a reply before that is a refusal, or the end of the
// connection.
func (c *pushConn) await(ctx context.Context, due time.Time) error {
	t := time.NewTimer(time.Until(due))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case r := <-c.reply:
		return c.early(r)
	}
}

// send writes a piece of the body. When that breaks, the server's reply says more.
func (c *pushConn) send(b []byte) error {
	_ = c.conn.SetWriteDeadline(time.Now().Add(writeTime))
	_, err := c.conn.Write(b)
	c.left -= int64(len(b))
	if err == nil {
		return nil
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(time.Second))
	if r := <-c.reply; r.err == nil {
		return c.early(r)
	}
	return c.lost("pushing", err)
}

// early judges a reply in mid-body.
func (c *pushConn) early(r reply) error {
	c.reply = nil
	if r.err != nil {
		return c.lost("pushing", r.err)
	}
	if r.resp.StatusCode/100 == 2 {
		return fmt.Errorf("%s ended the push", c.to)
	}
	return c.refused(r.resp)
}

func (c *pushConn) lost(doing string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s: %s closed the connection", doing, c.to)
	}
	return fmt.Errorf("%s to %s: %w", doing, c.to, err)
}

func (c *pushConn) refused(resp *http.Response) error {
	_ = c.conn.SetReadDeadline(time.Now().Add(time.Second))
	e := refusalOf(c.to, resp)
	path := strings.TrimSuffix(c.to.url.Path, "/")
	switch {
	case e.Status == http.StatusServiceUnavailable:
		e.Hint = ""
	case e.Status != http.StatusUnauthorized && !strings.HasSuffix(strings.ToLower(path), "_push"):
		e.Hint = "a Stream Pump is pushed to at an address that ends in _push, as in " + path + "_push"
	case e.Status == http.StatusNotFound:
		e.Hint = "no stream of type mmsh_push has this path"
	}
	return e
}
