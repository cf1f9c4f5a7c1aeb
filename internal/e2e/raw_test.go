package e2e

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/asf"
)

// rawFrame is one packet of an MMSH body, as it came.
type rawFrame struct {
	kind     byte   // 'H', 'D', 'C', 'E'
	location uint32 // of H and D
	flags    byte   // AFFlags of H and D
	payload  []byte // of H and D what follows the pre-header, of C and E what follows the framing header
	at       time.Duration
}

// errBusy says that the stream is there but not on the air.
var errBusy = errors.New("answered 503")

// rawViewer is an MMSH player that decodes nothing. It reads the framing by itself, not with the pump's own
// parser. One goroutine uses it.
type rawViewer struct {
	conn  net.Conn
	began time.Time // before connecting
	r     *bufio.Reader
	head  *http.Response
}

// joinRaw plays the stream at 127.0.0.1:port. secure is for MMSH over TLS, with whatever certificate.
func joinRaw(port int, path string, secure bool) (*rawViewer, error) {
	return joinRawBy(&net.Dialer{}, port, path, secure)
}

// narrow makes connections that hold next to nothing of what their owner does not read.
var narrow = &net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
}}

func joinRawBy(dialer *net.Dialer, port int, path string, secure bool) (*rawViewer, error) {
	return joinRawAt(dialer, "127.0.0.1", port, path, secure)
}

func joinRawAt(dialer *net.Dialer, host string, port int, path string, secure bool) (*rawViewer, error) {
	v := &rawViewer{began: time.Now()}
	var err error
	address := net.JoinHostPort(host, strconv.Itoa(port))
	if v.conn, err = dialer.Dial("tcp", address); err != nil {
		return nil, err
	}
	if secure {
		v.conn = tls.Client(v.conn, &tls.Config{InsecureSkipVerify: true})
	}
	if err = v.ask(address, path); err != nil {
		_ = v.conn.Close()
		return nil, err
	}
	return v, nil
}

func (v *rawViewer) ask(address, path string) error {
	_ = v.conn.SetDeadline(time.Now().Add(slack * 10 * time.Second))
	_, err := fmt.Fprintf(v.conn, "GET /streams/%s HTTP/1.0\r\nUser-Agent: NSPlayer/4.1.0.3856\r\nHost: %s\r\nPragma: xPlayStrm=1\r\n\r\n", path, address)
	if err != nil {
		return err
	}
	v.r = bufio.NewReaderSize(v.conn, 4096)
	if v.head, err = http.ReadResponse(v.r, nil); err != nil {
		return err
	}
	if v.head.StatusCode == http.StatusServiceUnavailable {
		return errBusy
	}
	if v.head.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %s", v.head.Status)
	}
	return nil
}

// next reads one packet; it waits for it no longer than the limit, and its slack. io.EOF says that the body ended
// between two packets.
func (v *rawViewer) next(limit time.Duration) (rawFrame, error) {
	return v.nextBy(time.Now().Add(slack * limit))
}

func (v *rawViewer) nextBy(deadline time.Time) (f rawFrame, err error) {
	_ = v.conn.SetReadDeadline(deadline)
	var head [4]byte
	if _, err = io.ReadFull(v.r, head[:]); err != nil {
		return f, err
	}
	if head[0] != '$' {
		return f, fmt.Errorf("a packet begins with % x", head)
	}
	body := make([]byte, binary.LittleEndian.Uint16(head[2:]))
	if _, err = io.ReadFull(v.r, body); err != nil {
		return f, fmt.Errorf("in the middle of a $%c packet of %d bytes: %w", head[1], len(body), io.ErrUnexpectedEOF)
	}
	f = rawFrame{kind: head[1], payload: body, at: time.Since(v.began)}
	if f.kind == 'H' || f.kind == 'D' {
		if len(body) < 8 || int(binary.LittleEndian.Uint16(body[6:])) != len(body) {
			return f, fmt.Errorf("the sizes of a $%c packet differ: % x % x", f.kind, head, body[:min(8, len(body))])
		}
		f.location, f.flags, f.payload = binary.LittleEndian.Uint32(body), body[5], body[8:]
	}
	return f, nil
}

func (v *rawViewer) close() { _ = v.conn.Close() }

// watchRaw joins and reads packets until enough holds for what it has; it fails the test when that takes longer
// than the limit, and its slack.
func watchRaw(t *testing.T, port int, path string, secure bool, limit time.Duration, enough func([]rawFrame) bool) []rawFrame {
	t.Helper()
	v, err := joinRaw(port, path, secure)
	if err != nil {
		t.Errorf("raw viewer of %s: %v", path, err)
		return nil
	}
	defer v.close()
	var frames []rawFrame
	for !enough(frames) {
		f, err := v.nextBy(v.began.Add(slack * limit))
		if err != nil {
			t.Errorf("raw viewer of %s, after %d packets: %v", path, len(frames), err)
			return frames
		}
		frames = append(frames, f)
	}
	return frames
}

// keyFrames tells which packets a viewer can begin at: those in which a key frame of the header's pictures starts.
func keyFrames(t *testing.T, header []byte) func(f rawFrame) bool {
	t.Helper()
	h, err := asf.ParseHeader(header)
	if err != nil {
		t.Errorf("header of %d bytes: %v", len(header), err)
		return func(rawFrame) bool { return false }
	}
	return func(f rawFrame) bool {
		p, err := asf.ParsePacket(f.payload, h.PacketSize, h.KeyStreams())
		return f.kind == 'D' && err == nil && p.KeyStart
	}
}
