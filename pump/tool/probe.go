package tool

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/pump/track"
)

// ProbeOptions describe a look at a stream. URL is required.
type ProbeOptions struct {
	URL      string
	Duration time.Duration // of watching; default 5 s
	Agent    string        // default that of a Windows player of version 12
	Insecure bool          // accept any certificate

	silence time.Duration // without a packet, then the stream is not live; default 10 s
}

// ProbeReport is what was seen of a stream.
type ProbeReport struct {
	URL         string       `json:"url"`          // asked last, without secrets
	Server      string       `json:"server"`       // header of the reply
	ContentType string       `json:"content_type"` // of the stream
	Features    string       `json:"features"`     // that the server claims
	Title       string       `json:"title"`
	Author      string       `json:"author"`
	Broadcast   bool         `json:"broadcast"` // the header calls itself live
	HeaderBytes int          `json:"header_bytes"`
	PacketSize  int          `json:"packet_size"` // bytes
	PrerollMS   int64        `json:"preroll_ms"`
	Tracks      []track.Info `json:"tracks"`
	Warnings    []string     `json:"warnings"` // what some players will not like

	AnnouncedBPS int64   `json:"announced_bps"`
	MeasuredBPS  int64   `json:"measured_bps"` // of media time
	WatchedS     float64 `json:"watched_s"`
	Packets      uint64  `json:"packets"`
	Bytes        uint64  `json:"bytes"`
	JoinMS       int64   `json:"join_ms"` // from connecting for Play to the first packet
	Pace         float64 `json:"pace"`    // media time in real time, after the first second; 0 not known

	KeyFrames          int   `json:"key_frames"`
	KeyFrameIntervalMS int64 `json:"key_frame_interval_ms"` // mean; 0 not known
	KeyFrameMaxMS      int64 `json:"key_frame_max_ms"`      // longest
	BeginsWithKeyFrame bool  `json:"begins_with_key_frame"`

	Gaps           uint64 `json:"gaps"`            // jumps of the packet number
	MissingPackets uint64 `json:"missing_packets"` // that they skipped
	TimeJumps      int    `json:"time_jumps"`      // send times that went back, or ahead by more than a second
	BadPackets     uint64 `json:"bad_packets"`
	Changes        int    `json:"changes"` // of the header
	Ended          bool   `json:"ended"`   // by the server, while we watched
}

// Errors of a probe beside *StatusError.
var (
	ErrNotMMSH = errors.New("not an mmsh stream")
	ErrSilent  = errors.New("no packet came")
)

const maxHops = 5 // redirects and playlists

// Probe connects like a player, asks for the header, watches for the duration and tells
// what it saw. It takes at most the duration and half a minute.
func Probe(ctx context.Context, o ProbeOptions) (ProbeReport, error) {
	if o.Duration <= 0 {
		o.Duration = 5 * time.Second
	}
	if o.Agent == "" {
		o.Agent = mmsh.AgentV9
	}
	if o.silence <= 0 {
		o.silence = 10 * time.Second
	}
	p := &prober{opts: o}
	a, err := parseAddress(o.URL)
	if err != nil {
		return ProbeReport{}, err
	}
	if a, err = p.describe(ctx, a); err != nil {
		return p.report, err
	}
	return p.report, p.play(ctx, a)
}

// prober is one look. It belongs to one goroutine.
type prober struct {
	opts   ProbeOptions
	report ProbeReport
	params mmsh.ClientParams
	header *asf.Header
}

// exchange is a request that was answered.
type exchange struct {
	conn    net.Conn
	br      *bufio.Reader // of the body
	resp    *http.Response
	release func()
}

func (x *exchange) close() {
	x.release()
	_ = x.conn.Close()
}

// ask sends a request and reads the head of the reply; once more with the credentials of the address when the server wants them.
func (p *prober) ask(ctx context.Context, a address, request func([]byte, mmsh.ClientParams) []byte) (*exchange, error) {
	params := p.params
	params.Path, params.Host, params.Agent = a.target, a.host, p.opts.Agent
	x, err := p.askOnce(ctx, a, request, params)
	if err != nil || x.resp.StatusCode != http.StatusUnauthorized || a.user == "" && a.password == "" {
		return x, err
	}
	x.close()
	answer, err := access.Authorization(x.resp.Header.Values("WWW-Authenticate"), http.MethodGet, a.target, a.user, a.password)
	if err != nil {
		return nil, fmt.Errorf("%s asks for credentials: %w", a, err)
	}
	params.Header = [][2]string{{"Authorization", answer}}
	return p.askOnce(ctx, a, request, params)
}

func (p *prober) askOnce(ctx context.Context, a address, request func([]byte, mmsh.ClientParams) []byte, params mmsh.ClientParams) (*exchange, error) {
	conn, err := a.connect(ctx, connectTime, p.opts.Insecure)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	x := &exchange{conn: conn, release: func() { stop() }}
	_ = conn.SetDeadline(time.Now().Add(answerTime))
	if _, err = conn.Write(request(nil, params)); err == nil {
		x.resp, err = http.ReadResponse(bufio.NewReaderSize(conn, 64<<10), nil)
	}
	if err != nil {
		x.close()
		return nil, explainReply(a, err)
	}
	x.br = bufio.NewReaderSize(x.resp.Body, 64<<10)
	return x, nil
}

func explainReply(a address, err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%s did not answer within %v", a, answerTime)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s closed the connection without an answer", a)
	case strings.Contains(err.Error(), "malformed HTTP"):
		return fmt.Errorf("%s: %w: it does not answer in HTTP", a, ErrNotMMSH)
	}
	return fmt.Errorf("asking %s: %w", a, err)
}

// describe asks for the header and follows redirects and playlists to it.
func (p *prober) describe(ctx context.Context, a address) (address, error) {
	for range maxHops {
		next, err := p.describeOnce(ctx, a)
		if err != nil || next == "" {
			return a, err
		}
		u, err := a.url.Parse(next)
		if err != nil {
			return a, fmt.Errorf("%s: %w: it points to an address that is none", a, ErrNotMMSH)
		}
		if u.User == nil && strings.EqualFold(u.Host, a.url.Host) {
			u.User = a.url.User // of this server, and no other
		}
		if a, err = parseAddress(u.String()); err != nil {
			return a, err
		}
	}
	return a, fmt.Errorf("%s: %w: more than %d redirects", a, ErrNotMMSH, maxHops)
}

// describeOnce reads the header, or returns where to ask instead.
func (p *prober) describeOnce(ctx context.Context, a address) (next string, err error) {
	x, err := p.ask(ctx, a, mmsh.AppendDescribeRequest)
	if err != nil {
		return "", err
	}
	defer x.close()
	p.report.URL, p.report.Server = a.String(), firstLine(x.resp.Header.Get("Server"))
	switch {
	case x.resp.StatusCode/100 == 3:
		return x.resp.Header.Get("Location"), nil
	case x.resp.StatusCode != http.StatusOK:
		return "", refusalOf(a, x.resp)
	}
	first, _ := x.br.Peek(4)
	if mmsh.ReplyKindOf(x.resp.Header.Get("Content-Type")) == mmsh.ReplyPlaylist || mmsh.LooksLikePlaylist(first) {
		return playlistEntry(a, x.br)
	}
	if len(first) < 4 || (first[0] != 0x24 && first[0] != 0xA4) {
		return "", fmt.Errorf("%s: %w: it answers with Content-Type %q", a, ErrNotMMSH, firstLine(x.resp.Header.Get("Content-Type")))
	}
	tokens := mmsh.ParseTokens(x.resp.Header)
	features, _ := tokens.Get("features")
	p.report.Features = firstLine(features)
	p.params.ClientID, p.params.HasClientID = mmsh.ClientIDOf(x.resp.Header)
	return "", p.readHeader(a, x.br)
}

func playlistEntry(a address, r io.Reader) (string, error) {
	body, err := io.ReadAll(io.LimitReader(r, mmsh.MaxPlaylist))
	if err != nil {
		return "", fmt.Errorf("reading the playlist of %s: %w", a, err)
	}
	list, err := mmsh.ParsePlaylist(body)
	if err != nil {
		return "", fmt.Errorf("%s: %w: %w", a, ErrNotMMSH, err)
	}
	if u, err := url.Parse(list[0]); err != nil || u.Scheme == "" {
		return "", fmt.Errorf("%s: %w: its playlist names no stream", a, ErrNotMMSH)
	}
	return list[0], nil
}

// readHeader reads the body of a Describe.
func (p *prober) readHeader(a address, r *bufio.Reader) error {
	d := mmsh.NewDecoder(mmsh.PullFraming, mmsh.Pull)
	for {
		ev, err := nextEvent(r, d)
		if err != nil {
			return fmt.Errorf("reading the header of %s: %w", a, err)
		}
		if ev.Header != nil {
			return p.take(a, ev.Header)
		}
		if ev.Kind == mmsh.End || ev.Kind == mmsh.Packet {
			return fmt.Errorf("%s: %w: no header in its answer", a, ErrNotMMSH)
		}
		if _, err := r.Discard(ev.Length); err != nil {
			return fmt.Errorf("reading the header of %s: %w", a, err)
		}
	}
}

// nextEvent reads until the decoder has found something.
func nextEvent(r io.Reader, d *mmsh.Decoder) (mmsh.Event, error) {
	for {
		if _, err := io.ReadFull(r, d.Buffer()); err != nil {
			return mmsh.Event{}, err
		}
		ev, err := d.Next()
		if err != nil || ev.Kind != mmsh.None {
			return ev, err
		}
	}
}

// take describes a header.
func (p *prober) take(a address, raw []byte) error {
	h, err := asf.ParseHeader(raw)
	if err != nil {
		return fmt.Errorf("the header of %s: %w", a, err)
	}
	p.header, p.params.Streams = h, nil
	for _, s := range h.Streams {
		p.params.Streams = append(p.params.Streams, s.Number)
	}
	r := &p.report
	r.Title, r.Author, r.Broadcast = firstLine(h.Title), firstLine(h.Author), h.Broadcast()
	r.HeaderBytes, r.PacketSize, r.PrerollMS = len(raw), h.PacketSize, h.PrerollDuration().Milliseconds()
	r.Tracks, r.Warnings, r.AnnouncedBPS = track.Describe(h), h.Warnings(), int64(h.MaxBitrate)
	if r.Warnings == nil {
		r.Warnings = []string{}
	}
	return nil
}
