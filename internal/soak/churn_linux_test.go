package soak

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/loadtest"
)

// vandals are clients that do everything wrong, one after the other, as fast as they may.
type vandals struct {
	port, tls int
	done      atomic.Int64
}

const agentLine = "User-Agent: NSPlayer/12.0.7601.17514\r\nHost: pump\r\n"

// requests are what they say before they leave, sometimes only the beginning of it.
var requests = []string{
	"", "\x00\x01\x02", "\x16\x03\x01\x02\x00\x01\x00\x01", "\r\n\r\n", "BREW / HTTP/1.0\r\n\r\n",
	"GET /streams/steady HTTP/1.0\r\n" + agentLine + "\r\n",
	"GET /streams/steady HTTP/1.0\r\n" + agentLine + "Pragma: xPlayStrm=1\r\n\r\n",
	"GET /streams/live HTTP/1.0\r\n" + agentLine + "Pragma: xPlayStrm=1\r\n\r\n",
	"GET /streams/steady.asf HTTP/1.0\r\nHost: pump\r\n\r\n", "GET /streams/steady.asx HTTP/1.0\r\nHost: pump\r\n\r\n",
	"GET /streams/steady HTTP/1.0\r\n" + agentLine + "Pragma: xPlayStrm=1\r\nContent-Length: 9\r\n\r\n",
	"POST /streams/steady HTTP/1.0\r\nContent-Type: application/x-wms-LogStats\r\nContent-Length: 100\r\n\r\nhalf",
	"OPTIONS * HTTP/1.1\r\nHost: pump\r\n\r\n",
	"POST /streams/vandal_push HTTP/1.1\r\nHost: pump\r\nContent-Type: application/x-wms-pushsetup\r\nCookie: push-id=0\r\nContent-Length: 0\r\n\r\n",
	"POST /streams/vandal_push HTTP/1.1\r\nHost: pump\r\nContent-Length: 2147483647\r\n\r\n0&\xb2u\x8ef\xcf\x11\xa6\xd9\x00\xaa\x00b\xcel....",
	"PUT /streams/vandal_push HTTP/1.1\r\nHost: pump\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
}

// once is one of them: it connects, by TLS now and then, says something or half of it, listens a little or not at all, and
// leaves in one of the ways there are.
func (v *vandals) once(ctx context.Context, r *rand.Rand) {
	address, secure := fmt.Sprintf("127.0.0.1:%d", v.port), r.IntN(8) == 0
	if secure {
		address = fmt.Sprintf("127.0.0.1:%d", v.tls)
	}
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	over := io.ReadWriter(conn)
	if secure && r.IntN(4) > 0 {
		over = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	text := requests[r.IntN(len(requests))]
	if r.IntN(3) == 0 {
		text = text[:r.IntN(len(text)+1)]
	}
	_, _ = io.WriteString(over, text)
	if r.IntN(2) == 0 {
		_ = conn.SetReadDeadline(time.Now().Add(time.Duration(r.IntN(200)) * time.Millisecond))
		_, _ = io.CopyN(io.Discard, over, int64(r.IntN(64<<10)))
	}
	switch r.IntN(3) {
	case 0:
		_ = conn.(*net.TCPConn).SetLinger(0)
	case 1:
		_ = conn.(*net.TCPConn).CloseWrite()
	}
	v.done.Add(1)
}

// rage lets n of them loose until ctx ends.
func (v *vandals) rage(ctx context.Context, n int, each time.Duration) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for ctx.Err() == nil {
				v.once(ctx, r)
				select {
				case <-time.After(each):
				case <-ctx.Done():
				}
			}
		})
	}
	all.Wait()
}

// round is one wave of everything.
func round(t *testing.T, p *pump, s size, v *vandals) (joins uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), s.round)
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() { // an encoder with a bad connection
		_ = loadtest.Push(ctx, loadtest.PushOptions{
			URL: fmt.Sprintf("http://127.0.0.1:%d/streams/live_push", p.port), Rate: 200_000, Flap: 1500 * time.Millisecond, Duration: s.round,
		})
	})
	all.Go(func() { v.rage(ctx, s.vandals, 20*time.Millisecond) })
	all.Go(func() { // configurations with a stream more, and one less
		for n := 0; ctx.Err() == nil; n++ {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return
			}
			p.rewrite(t, n%2 == 0)
			p.reload(t)
		}
	})
	url := func(scheme string, port int, path string) string {
		return fmt.Sprintf("%s://127.0.0.1:%d/streams/%s", scheme, port, path)
	}
	crowds := []loadtest.Options{
		{Clients: s.viewers, Churn: float64(s.viewers) / 2, URLs: []string{url("mmsh", p.port, "steady"), url("mmsh", p.port, "pulled")}, Slow: 0.1},
		{Clients: s.viewers / 2, Reconnect: true, URLs: []string{url("mmsh", p.port, "live")}},
		{Clients: s.viewers / 4, Churn: float64(s.viewers) / 8, WMP: true, URLs: []string{url("mmsh", p.port, "steady")}},
		{Clients: s.viewers / 4, Churn: float64(s.viewers) / 8, Plain: true, URLs: []string{url("http", p.port, "steady")}},
		{Clients: max(s.viewers/16, 2), Churn: float64(s.viewers) / 32, Insecure: true, URLs: []string{url("https", p.tls, "steady")}},
	}
	var churned atomic.Uint64
	for _, o := range crowds {
		o.Duration, o.Ramp, o.MinDelivery, o.JoinTimeout = s.round-s.round/4, float64(o.Clients), -1, 30*time.Second
		all.Go(func() {
			report, err := loadtest.Run(ctx, o)
			if err != nil && ctx.Err() == nil {
				t.Errorf("viewers of %s: %v", o.URLs, err)
			}
			if report != nil {
				if report.Protocol > 0 {
					t.Errorf("viewers of %s: %d errors of protocol or content: %v", o.URLs, report.Protocol, report.Faults)
				}
				churned.Add(report.Churned + uint64(report.Clients.Connected))
			}
		})
	}
	all.Wait()
	return churned.Load()
}
