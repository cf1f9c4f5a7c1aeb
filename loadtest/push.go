package loadtest

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/stream-pump/stream-pump/mmsh"
)

// PushOptions describe a synthetic encoder.
type PushOptions struct {
	URL         string        // where to push: http://host:port/streams/x_push
	Rate        int           // bit/s of ASF packets; default 300,000
	Packet      int           // bytes of an ASF packet; default 1400
	KeyInterval time.Duration // between key frames; default 2 s
	AudioOnly   bool          // a stream without video
	Flap        time.Duration // drop the connection this often and come back a second later; 0: never
	Duration    time.Duration // 0: until the context ends
	Insecure    bool          // take any TLS certificate

	// Report is called about once a second and at the end, from the encoder's goroutine.
	Report func(Source)
	// Connected is called each time the server has taken the header.
	Connected func()
}

const (
	pushDialTimeout  = 5 * time.Second
	pushFirstTries   = 10 * time.Second // a first connection by then, or it is an error
	pushPause        = time.Second
	maxPushBatch     = 256 // packets in one write when catching up
	minPushRemainder = 4   // bytes: what the shortest filler needs
)

func (o PushOptions) withDefaults() (PushOptions, error) {
	setDefault(&o.Rate, 300_000)
	setDefault(&o.Packet, 1400)
	setDefault(&o.KeyInterval, 2*time.Second)
	as := Options{Rate: o.Rate, Packet: o.Packet, KeyInterval: o.KeyInterval}
	if _, err := as.withDefaults(); err != nil {
		return o, err
	}
	if _, err := parseTarget(o.URL); err != nil {
		return o, err
	}
	return o, nil
}

// Push is an MS-WMHTTP encoder: it sends a synthetic stream of stamped packets on a fixed schedule until the context
// ends, which is no error. It keeps the schedule whatever the server does: what was due during a stall follows at
// once, stamped with the time it was due. A lost connection is made again; what was due meanwhile is not published.
func Push(ctx context.Context, o PushOptions) error {
	o, err := o.withDefaults()
	if err != nil {
		return err
	}
	if o.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Duration)
		defer cancel()
	}
	e := &encoder{o: o, m: newMaterial(o), late: newHistogram()}
	return e.run(ctx)
}

// encoder is one run of Push.
type encoder struct {
	o        PushOptions
	m        *material
	late     *hdrhistogram.Histogram // µs
	start    int64                   // ns, slot 0 is due
	slot     int64                   // next to publish
	bytes    uint64
	connects uint64
	reported int64
	buf      []byte
}

func (e *encoder) run(ctx context.Context) error {
	begun := time.Now()
	for ctx.Err() == nil {
		err := e.connection(ctx)
		if ctx.Err() != nil {
			break
		}
		if e.connects == 0 && time.Since(begun) > pushFirstTries {
			return fmt.Errorf("pushing: %w", err)
		}
		var refused *refusal
		if e.connects == 0 && errors.As(err, &refused) && refused.final() {
			return fmt.Errorf("pushing: %w", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pushPause):
		}
	}
	e.report(true)
	return nil
}

// refusal is an answer other than success.
type refusal struct{ status int }

func (r *refusal) Error() string {
	return "the server answered " + strconv.Itoa(r.status) + " " + mmsh.StatusText(r.status)
}

// final says that asking again is of no use.
func (r *refusal) final() bool {
	return r.status >= 400 && r.status < 500 && r.status != 408 && r.status != 409 && r.status != 453
}

// connection pushes over one connection until it ends.
func (e *encoder) connection(ctx context.Context) error {
	u, err := url.Parse(e.o.URL)
	if err != nil {
		return err
	}
	conn, err := dialPush(ctx, u, e.o.Insecure)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now().Add(time.Second)) })
	defer stop()

	replies := bufio.NewReader(conn)
	conn.SetDeadline(time.Now().Add(pushDialTimeout))
	id, err := pushSetup(conn, replies, u)
	if err != nil {
		return err
	}
	if ctx.Err() == nil {
		conn.SetDeadline(time.Time{})
	}
	for first := true; ctx.Err() == nil; first = false {
		if err := e.body(ctx, conn, replies, u, id, first); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func dialPush(ctx context.Context, u *url.URL, insecure bool) (net.Conn, error) {
	t, err := parseTarget(u.String())
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: pushDialTimeout}
	if !t.tls {
		return d.DialContext(ctx, "tcp", t.address())
	}
	td := tls.Dialer{NetDialer: &d, Config: &tls.Config{ServerName: t.host, InsecureSkipVerify: insecure}}
	return td.DialContext(ctx, "tcp", t.address())
}

func pushSetup(conn io.Writer, replies *bufio.Reader, u *url.URL) (id string, err error) {
	const body = "AutoDestroy: 1\r\n"
	if err := writePush(conn, u, mmsh.PushSetupHeader(""), int64(len(body)), body); err != nil {
		return "", err
	}
	header, err := readReply(replies)
	if err != nil {
		return "", err
	}
	return mmsh.PushIDOf(header), nil
}

// writePush writes one request of an encoder.
func writePush(w io.Writer, u *url.URL, h http.Header, length int64, body string) error {
	h.Set("Content-Length", strconv.FormatInt(length, 10))
	if u.User != nil {
		password, _ := u.User.Password()
		r := http.Request{Header: h}
		r.SetBasicAuth(u.User.Username(), password)
	}
	head := "POST " + requestPath(u) + " HTTP/1.1\r\nHost: " + u.Host + "\r\n"
	buf := bufio.NewWriter(w)
	buf.WriteString(head)
	h.Write(buf)
	buf.WriteString("\r\n" + body)
	return buf.Flush()
}

// readReply reads an answer without a body of interest.
func readReply(r *bufio.Reader) (http.Header, error) {
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return nil, fmt.Errorf("reading the server's answer: %w", err)
	}
	_, err = io.CopyN(io.Discard, resp.Body, 64<<10)
	resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return nil, &refusal{resp.StatusCode}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return resp.Header, nil
}

// body sends one PushStart: until its promised length is full (nil), the time to flap or an error.
func (e *encoder) body(ctx context.Context, conn net.Conn, replies *bufio.Reader, u *url.URL, id string, first bool) error {
	if err := writePush(conn, u, mmsh.PushStartHeader(id), mmsh.PushBodyLength, ""); err != nil {
		return err
	}
	answered := make(chan error, 1)
	go func() {
		_, err := readReply(replies)
		answered <- err
	}()
	defer func() { conn.SetDeadline(time.Now().Add(time.Second)) }()
	left := int64(mmsh.PushBodyLength)
	if first {
		frame, err := mmsh.AppendPushHeader(nil, e.m.header)
		if err != nil {
			return err
		}
		if _, err := conn.Write(frame); err != nil {
			return err
		}
		left -= int64(len(frame))
		e.connected()
	}
	ended, err := e.packets(ctx, conn, left, answered)
	if ctx.Err() != nil {
		conn.Write(mmsh.AppendEnd(nil, mmsh.ReasonEnd))
		return ctx.Err()
	}
	if err != nil || ended {
		return err
	}
	return <-answered
}

func (e *encoder) connected() {
	if e.connects++; e.o.Connected != nil {
		e.o.Connected()
	}
	if e.start == 0 {
		e.start = now()
		return
	}
	for e.start+e.m.due(e.slot) < now() { // what was due while there was no connection is not published
		e.slot++
	}
}

var errFlap = errors.New("dropping the connection on purpose")

// packets publishes on schedule into a body with so many bytes left. It says whether the server ended it early.
func (e *encoder) packets(ctx context.Context, conn net.Conn, left int64, answered chan error) (ended bool, err error) {
	size := int64(e.o.Packet + mmsh.FrameHeadSize)
	timer := time.NewTimer(0)
	defer timer.Stop()
	var flap <-chan time.Time
	if e.o.Flap > 0 {
		t := time.NewTimer(e.o.Flap)
		defer t.Stop()
		flap = t.C
	}
	for left >= size+minPushRemainder {
		select {
		case <-ctx.Done():
			return true, nil
		case <-flap:
			return true, errFlap
		case err := <-answered:
			if err == nil {
				err = errors.New("the server ended the push")
			}
			return true, err
		case <-timer.C:
		}
		room := min((left-minPushRemainder)/size, maxPushBatch)
		n, err := e.publishDue(conn, int(room))
		if err != nil {
			return true, err
		}
		left -= int64(n) * size
		e.report(false)
		timer.Reset(time.Duration(e.start + e.m.due(e.slot) - now()))
	}
	return false, fillBody(conn, left)
}

// fillBody makes a body as long as it was promised to be.
func fillBody(w io.Writer, left int64) error {
	for left > 0 {
		n := min(left-minPushRemainder, mmsh.MaxFiller)
		if rest := left - n - minPushRemainder; rest > 0 && rest < minPushRemainder {
			n -= minPushRemainder
		}
		frame, err := mmsh.AppendFiller(nil, int(n))
		if err != nil {
			return err
		}
		if _, err := w.Write(frame); err != nil {
			return err
		}
		left -= int64(len(frame))
	}
	return nil
}

// publishDue writes what is due by now, at most so many packets, in one call, and says how many.
func (e *encoder) publishDue(conn io.Writer, room int) (int, error) {
	at, from := now(), e.slot
	e.buf = e.buf[:0]
	for e.slot-from < int64(room) {
		due := e.start + e.m.due(e.slot)
		if due > at {
			break
		}
		head := len(e.buf)
		e.buf = append(e.buf, 0x24, mmsh.TypeData, byte(e.o.Packet), byte(e.o.Packet>>8))
		var err error
		if e.buf, err = e.m.appendPacket(e.buf, e.slot, due); err != nil {
			return 0, fmt.Errorf("building packet %d (%d bytes before it): %w", e.m.number, head, err)
		}
		e.slot++
	}
	if _, err := conn.Write(e.buf); err != nil {
		return 0, err
	}
	done := now()
	for slot := from; slot < e.slot; slot++ {
		record(e.late, (done-e.start-e.m.due(slot))/int64(time.Microsecond))
	}
	e.bytes += uint64(len(e.buf))
	return int(e.slot - from), nil
}

func (e *encoder) report(last bool) {
	if e.o.Report == nil || !last && now()-e.reported < int64(time.Second) {
		return
	}
	e.reported = now()
	const ms = 1000 // µs
	e.o.Report(Source{Published: e.m.number, Bytes: e.bytes, Connects: e.connects,
		LateP99: float64(e.late.ValueAtQuantile(99)) / ms, LateMax: float64(e.late.Max()) / ms})
}
