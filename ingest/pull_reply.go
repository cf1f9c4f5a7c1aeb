package ingest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/stream-pump/stream-pump/mmsh"
)

// reply is a server's answer whose body is being read.
type reply struct {
	ctx    context.Context
	conn   *timedConn
	stop   func() bool // undoes the connection's end with ctx
	status int
	header http.Header
	body   *bufio.Reader
}

func (r *reply) close() {
	r.stop()
	_ = r.conn.Close()
}

// keep ties the connection to ctx instead of the context it was made with; false when that was over already.
func (r *reply) keep(ctx context.Context) bool {
	if !r.stop() {
		return false
	}
	r.ctx = ctx
	r.stop = context.AfterFunc(ctx, func() { _ = r.conn.Close() })
	return true
}

// because gives the reason of an error that closing the connection has hidden.
func (r *reply) because(err error) error {
	switch {
	case r.ctx.Err() != nil:
		return fmt.Errorf("%w (%w)", context.Cause(r.ctx), err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no data for %v: %w", r.conn.waits(), err)
	}
	return err
}

// elsewhere returns where a redirect or a playlist leads, or an error for what is neither one nor a stream.
func (r *reply) elsewhere(at *url.URL) (*url.URL, error) {
	if r.status >= 300 && r.status < 400 {
		if where := r.header.Get("Location"); where != "" {
			return resolve(at, where)
		}
	}
	if r.status != http.StatusOK {
		return nil, &StatusError{Code: r.status}
	}
	first, err := r.body.Peek(16)
	if len(first) == 0 && err != nil {
		return nil, r.because(fmt.Errorf("empty reply: %w", err))
	}
	kind := mmsh.ReplyKindOf(r.header.Get("Content-Type"))
	if kind == mmsh.ReplyPlaylist || mmsh.LooksLikePlaylist(first) {
		return r.playlist(at)
	}
	if kind == mmsh.ReplyUnknown && !looksLikeStream(first) {
		return nil, fmt.Errorf("server sent %q instead of a stream", printable(r.header.Get("Content-Type")))
	}
	return nil, nil
}

func looksLikeStream(first []byte) bool {
	f, need, err := mmsh.DetectFraming(first)
	return err == nil && (need == 0 && f != mmsh.FramingUnknown)
}

// playlist returns the first address of a playlist that can be pulled from.
func (r *reply) playlist(at *url.URL) (*url.URL, error) {
	text, err := io.ReadAll(io.LimitReader(r.body, mmsh.MaxPlaylist))
	if err != nil && len(text) == 0 {
		return nil, r.because(err)
	}
	list, err := mmsh.ParsePlaylist(text)
	if err != nil {
		return nil, err
	}
	for _, entry := range list {
		if next, wrong := resolve(at, entry); wrong == nil {
			return next, nil
		} else if err == nil {
			err = wrong
		}
	}
	return nil, fmt.Errorf("playlist: %w", err)
}

// resolve reads an address that a server gave.
func resolve(at *url.URL, where string) (*url.URL, error) {
	u, err := at.Parse(strings.TrimSpace(where))
	if err != nil {
		return nil, errors.New("server names an address that cannot be parsed")
	}
	u.User, u.Fragment = nil, "" // whatever a server says there is not for us to repeat
	return u, checkSource(u)
}

// firstHeader reads the ASF header that begins a framed body.
func firstHeader(body *bufio.Reader) ([]byte, error) {
	framing := mmsh.PullFraming
	if first, _ := body.Peek(mmsh.DetectBytes); len(first) > 0 {
		if f, need, err := mmsh.DetectFraming(first); err == nil && need == 0 {
			framing = f
		}
	}
	d := mmsh.NewDecoder(framing, mmsh.Pull)
	for events := 0; events < maxBefore; {
		if n, err := io.ReadFull(body, d.Buffer()); err != nil {
			return nil, fmt.Errorf("header of the stream: %d of %d bytes: %w", n, len(d.Buffer()), err)
		}
		ev, err := d.Next()
		if err != nil {
			return nil, err
		}
		if ev.Header != nil {
			return ev.Header, nil
		}
		if ev.Kind != mmsh.None {
			events++
		}
		if _, err := body.Discard(ev.Length); err != nil {
			return nil, fmt.Errorf("header of the stream: %w", err)
		}
	}
	return nil, fmt.Errorf("no header among the first %d packets: %w", maxBefore, mmsh.ErrOrder)
}

// readReply reads the head of a reply, as lenient as players are: lines that are no header lines are passed over, and
// chunked coding is undone in a reply of HTTP/1.0 as well.
func readReply(br *bufio.Reader, method string) (*http.Response, error) {
	head, err := readHead(br)
	if err != nil {
		return nil, err
	}
	joined := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(head), br), 4096)
	resp, err := http.ReadResponse(joined, &http.Request{Method: method})
	if err != nil {
		return nil, fmt.Errorf("head of the reply: %w", err)
	}
	return resp, nil
}

func readHead(br *bufio.Reader) ([]byte, error) {
	var head []byte
	chunked := false
	for {
		line, err := br.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, fmt.Errorf("head of the reply, after %d bytes: %w", len(head), err)
		}
		if len(head)+len(line) > maxHead || err != nil {
			return nil, fmt.Errorf("head of the reply: more than %d bytes: %w", maxHead, errHeadTooLarge)
		}
		text := bytes.TrimRight(line, "\r\n")
		name, _, isField := bytes.Cut(text, []byte(":"))
		switch {
		case len(head) == 0 || len(text) == 0:
			head = append(append(head, text...), "\r\n"...)
		case isField && !bytes.ContainsAny(name, " \t") && len(name) > 0:
			head = append(append(head, text...), "\r\n"...)
			chunked = chunked || bytes.EqualFold(name, []byte("Transfer-Encoding"))
		}
		if len(text) == 0 {
			break
		}
	}
	if old := []byte("HTTP/1.0"); chunked && bytes.HasPrefix(head, old) {
		copy(head, "HTTP/1.1")
	}
	return head, nil
}
