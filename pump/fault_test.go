package pump

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/internal/certtest"
	"github.com/stream-pump/stream-pump/mmsh"
)

// pusher is an encoder that pushes plain ASF.
type pusher struct {
	testing.TB
	conn net.Conn
	next uint32 // number of the next packet; a key frame is in every fifth
}

const pushedPacket = 600 // bytes

// push connects and sends the header, and goes on counting at number next. The path may
// have a query.
func (w *world) push(path string, next uint32) *pusher {
	w.Helper()
	conn, err := net.Dial("tcp", w.Addr().String())
	if err != nil {
		w.Fatal(err)
	}
	p := &pusher{TB: w.TB, conn: conn, next: next}
	w.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	path, query, _ := strings.Cut(path, "?")
	p.send(fmt.Appendf(nil, "POST /streams/%s_push?%s HTTP/1.1\r\nHost: pump\r\nContent-Length: 2147483647\r\n\r\n", path, query))
	p.send(asf.BuildHeader(asf.HeaderSpec{
		Flags: asf.FlagBroadcast, Preroll: 1000, PacketSize: pushedPacket, MaxBitrate: 100_000,
		Streams: []asf.StreamSpec{{Number: 1, Kind: asf.Video, FourCC: "WMV3", Width: 320, Height: 240, BitrateBPS: 100_000}},
	}))
	return p
}

func (p *pusher) send(b []byte) {
	p.Helper()
	if _, err := p.conn.Write(b); err != nil {
		p.Fatal(err)
	}
}

// packet is the next packet, not sent yet.
func (p *pusher) packet() []byte {
	p.Helper()
	ms := 1000 + p.next*40
	b, err := asf.AppendPacket(nil, asf.PacketSpec{
		SendTime: ms, Duration: 40, Size: pushedPacket,
		Payloads: []asf.PayloadSpec{{Stream: 1, Key: p.next%5 == 0, Object: p.next, ObjectSize: 500, PresTime: ms + 1000, Data: []byte(strings.Repeat(string(rune('a'+p.next%26)), 500))}},
	})
	if err != nil {
		p.Fatal(err)
	}
	p.next++
	return b
}

func (p *pusher) packets(n int) {
	p.Helper()
	for range n {
		p.send(p.packet())
	}
}

// reset ends the connection with a RST.
func (p *pusher) reset() {
	_ = p.conn.(*net.TCPConn).SetLinger(0)
	_ = p.conn.Close()
}

// counted reads n packets and sees that their numbers follow each other, and that none is torn.
func (v *viewer) counted(n int) {
	v.Helper()
	for n > 0 {
		ev, err := v.next()
		switch {
		case err != nil:
			v.Fatalf("%d packets before the one wanted: %v", n, err)
		case ev.Kind == mmsh.Packet:
			n--
		case ev.Kind != mmsh.Header:
			v.Fatalf("%v in the stream", ev.Kind)
		}
	}
	if c := v.dec.Counters(); c.Missing+c.Backward+c.Unknown+c.Resyncs > 0 {
		v.Fatalf("not packet after packet: %+v", c)
	}
}

const pushed = "hold: 1m\nstreams: [{path: x, type: mmsh_push}]\n"

// An encoder's machine forgets its connection in the middle of a packet: the half is not
// for viewers, who are held, and go on when the encoder is back.
func TestEncoderResetInMidPacket(t *testing.T) {
	w := newWorld(t, pushed)
	p := w.push("x", 0)
	p.packets(10)
	w.awaitLive("x")
	v := w.play("x")
	v.counted(5)
	for range 3 {
		p.send(p.packet()[:pushedPacket/2])
		p.reset()
		w.eventually("the source is lost", func() bool { return !w.registry.Lookup("x").State().Delivering() })
		if n := w.registry.Lookup("x").Viewers(); n != 1 {
			t.Fatalf("%d viewers are held", n)
		}
		p = w.push("x", (p.next/5+1)*5)
		p.packets(10)
		w.awaitLive("x")
		v.counted(10)
	}
}

// What an encoder sends in mid-stream is no packet any more: it is told so and dropped, viewers
// get none of it, and the next encoder goes on.
func TestGarbageInMidStream(t *testing.T) {
	for name, garbage := range map[string]string{
		"text":  strings.Repeat("this is no packet ", 200),
		"zeros": strings.Repeat("\x00", 4*pushedPacket),
		"ones":  strings.Repeat("\xff", 4*pushedPacket),
		"a header in place of a packet": string(asf.BuildHeader(asf.HeaderSpec{Flags: asf.FlagBroadcast, PacketSize: pushedPacket,
			Streams: []asf.StreamSpec{{Number: 1, Kind: asf.Video, FourCC: "WMV3", Width: 320, Height: 240}}})) + strings.Repeat(".", 4*pushedPacket),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, pushed)
			p := w.push("x", 0)
			p.packets(10)
			w.awaitLive("x")
			v := w.play("x")
			v.counted(5)
			_, _ = io.WriteString(p.conn, garbage)
			_, _ = p.conn.(*net.TCPConn).ReadFrom(strings.NewReader(strings.Repeat(garbage, 20)))
			_ = p.conn.(*net.TCPConn).CloseWrite()
			w.eventually("the source is lost", func() bool { return !w.registry.Lookup("x").State().Delivering() })
			q := w.push("x", 20)
			q.packets(10)
			w.awaitLive("x")
			v.counted(10)
			if n := w.registry.Lookup("x").Viewers(); n != 1 {
				t.Errorf("%d viewers", n)
			}
		})
	}
}

// The pump's certificate has run out. Clients that look refuse it, who does not look goes on; a
// new one is in force as soon as it is there, and whoever is connected does not notice.
func TestCertificateRunsOut(t *testing.T) {
	ca, dir, now := certtest.NewAuthority(t, "authority"), t.TempDir(), time.Now()
	cert, key := certtest.Write(t, dir, ca.Issue(t, certtest.Spec{NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Hour)}))
	w := newWorld(t, fmt.Sprintf("ssl: true\nssl_watch: 0.02\nssl_key: %s\nssl_cert: %s\nssl_port: %d\n", key, cert, freePort(t))+card)
	w.awaitLive("card")
	dial := func(cfg *tls.Config) (net.Conn, error) { return tls.Dial("tcp", w.TLSAddr().String(), cfg) }
	careless, err := dial(&tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	v := playOn(t, careless, "card", "NSPlayer/9.0")
	v.packets(1)
	strict := func() error {
		conn, err := dial(&tls.Config{RootCAs: ca.Pool()})
		if err == nil {
			_ = conn.Close()
		}
		return err
	}
	var invalid x509.CertificateInvalidError
	if err := strict(); !errors.As(err, &invalid) || invalid.Reason != x509.Expired {
		t.Fatalf("%v, want one that says that the certificate has expired", err)
	}
	certtest.Write(t, dir, ca.Issue(t, certtest.Spec{}))
	w.eventually("who looks comes in with the new one", func() bool { return strict() == nil })
	v.packets(20)
}
