package soak

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/loadtest"
)

// fleetChurn is what a house goes through, and how often.
type fleetChurn struct {
	*household
	joins, relayed, asked, pages, logouts, changes, kicked, killed atomic.Int64
	vandals                                                        vandals
}

// logIn gets a token, so that not every request costs a password.
func (h *household) logIn(t *testing.T) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, h.url("/api/v1/tokens"), strings.NewReader(`{"name": "soak", "role": "steer"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("operator", password)
	req.Header.Set("Content-Type", "application/json")
	resp, err := h.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var made struct{ Token string }
	if err := json.NewDecoder(resp.Body).Decode(&made); err != nil || made.Token == "" {
		t.Fatalf("a token for the operator: %s, %v", resp.Status, err)
	}
	h.token = made.Token
}

// every does something again and again until ctx ends.
func every(ctx context.Context, pause time.Duration, do func(n int)) {
	for n := 0; ctx.Err() == nil; n++ {
		do(n)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// relay lets one player in who follows no redirect; he leaves in one of the ways there are.
func (c *fleetChurn) relay(ctx context.Context, r *rand.Rand) {
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", c.port))
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	path := []string{"studio", "second", "Studio?id=relayed"}[r.IntN(3)]
	_, _ = fmt.Fprintf(conn, "GET /streams/%s HTTP/1.0\r\nUser-Agent: NSPlayer/4.1.0.3856\r\nHost: house\r\nPragma: xPlayStrm=1\r\n\r\n", path)
	if n, _ := io.CopyN(io.Discard, conn, int64(1000+r.IntN(200_000))); n >= 1000 {
		c.relayed.Add(1)
	}
	if r.IntN(2) == 0 {
		_ = conn.(*net.TCPConn).SetLinger(0)
	}
}

// wander asks where to go and does not go there: a place is kept for him.
func (c *fleetChurn) wander(ctx context.Context, n int) {
	for _, path := range []string{"/streams/studio", "/streams/second.asx"} {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url(fmt.Sprintf("%s?id=%s-%d", path, "wanderer", n)), nil)
		if err != nil {
			return
		}
		req.Header.Set("User-Agent", agents[n%len(agents)])
		if resp, err := c.client.Do(req); err == nil {
			_ = resp.Body.Close()
			c.asked.Add(1)
		}
	}
}

var agents = []string{"NSPlayer/12.0.7601.17514", "VLC/3.0.18 LibVLC/3.0.18", "Lavf/59.27.100"}

// acquaint makes so many viewers known to the house, which keeps room for a million of them, and of that room the system gives
// it what was touched.
func (c *fleetChurn) acquaint(t *testing.T, n int) {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 8}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: time.Minute, CheckRedirect: c.client.CheckRedirect}
	var all sync.WaitGroup
	for k := range 8 {
		all.Go(func() {
			for i := range n / 8 {
				resp, err := client.Get(c.url(fmt.Sprintf("/streams/studio?id=known-%d-%d", k, i)))
				if err != nil {
					t.Error(err)
					return
				}
				_ = resp.Body.Close()
			}
		})
	}
	all.Wait()
}

// page is a browser: it logs in, follows the fleet, and logs out, or is gone without a word.
func (c *fleetChurn) page(ctx context.Context, r *rand.Rand) {
	base := []func(string) string{c.url, c.secure}[r.IntN(2)]
	cookie := ""
	send := func(ctx context.Context, method, path, body string) *http.Response {
		req, err := http.NewRequestWithContext(ctx, method, base(path), strings.NewReader(body))
		if err != nil {
			return nil
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Cookie", cookie)
		resp, err := c.client.Do(req)
		if err != nil {
			return nil
		}
		return resp
	}
	resp := send(ctx, http.MethodPost, "/api/v1/session", `{"name": "operator", "password": "`+password+`"}`)
	if resp == nil {
		return
	}
	_ = resp.Body.Close()
	for _, k := range resp.Cookies() {
		cookie = k.Name + "=" + k.Value
	}
	following, leave := context.WithTimeout(ctx, time.Duration(200+r.IntN(1500))*time.Millisecond)
	defer leave()
	if resp = send(following, http.MethodGet, "/api/v1/live?viewers=true", ""); resp == nil {
		return
	}
	if line, _ := bufio.NewReader(resp.Body).ReadString('\n'); line != "" {
		c.pages.Add(1)
	}
	_, _ = io.Copy(io.Discard, resp.Body) // until he leaves
	_ = resp.Body.Close()
	if r.IntN(2) == 0 {
		if resp = send(ctx, http.MethodDelete, "/api/v1/session", ""); resp != nil {
			_ = resp.Body.Close()
			c.logouts.Add(1)
		}
	}
}

// steer changes something by the API.
func (c *fleetChurn) steer(t *testing.T, n int) {
	say := func(method, path, body string) string {
		text, status := c.tryAsk(method, path, body)
		if status/100 == 2 {
			c.changes.Add(1)
		} else if status != 0 && status != http.StatusServiceUnavailable && status != http.StatusNotFound {
			t.Errorf("%s %s: %d %s", method, path, status, text)
		}
		return text
	}
	switch n % 6 {
	case 0: // pumps that were never there before
		say(http.MethodPut, "/api/v1/roster?name=pumps.json", roster(false, fmt.Sprintf("new-%d", n), fmt.Sprintf("newer-%d", n)))
		say(http.MethodPost, fmt.Sprintf("/api/v1/pumps/new-%d/invite", n), "")
	case 1:
		say(http.MethodPut, "/api/v1/roster?name=pumps.json", roster(false))
	case 2:
		for _, yes := range []string{"true", "false"} {
			say(http.MethodPut, "/api/v1/pumps/left/draining", `{"draining": `+yes+`}`)
		}
	case 3:
		var made struct{ ID string }
		if json.Unmarshal([]byte(say(http.MethodPost, "/api/v1/tokens", `{"name": "passing", "role": "look"}`)), &made) == nil && made.ID != "" {
			say(http.MethodDelete, "/api/v1/tokens/"+made.ID, "")
		}
	case 4:
		say(http.MethodPut, fmt.Sprintf("/api/v1/streams/passing-%d", n), `{"type": "test_card"}`)
		say(http.MethodDelete, fmt.Sprintf("/api/v1/streams/passing-%d", n), "")
	case 5:
		say(http.MethodPost, "/api/v1/roster/plan?name=pumps.json", roster(false))
	}
}

// kick cuts off somebody, by his own name and by the pump's.
func (c *fleetChurn) kick(n int) {
	if _, status := c.tryAsk(http.MethodDelete, fmt.Sprintf("/api/v1/clients/soak-%d", n%8), ""); status == http.StatusOK {
		c.kicked.Add(1)
	}
	text, _ := c.tryAsk(http.MethodGet, "/api/v1/viewers?limit=1", "")
	var said struct{ Viewers []struct{ Pump, ID string } }
	if json.Unmarshal([]byte(text), &said) == nil && len(said.Viewers) > 0 {
		if _, status := c.tryAsk(http.MethodDelete, "/api/v1/viewers/"+said.Viewers[0].Pump+"/"+said.Viewers[0].ID, ""); status == http.StatusOK {
			c.kicked.Add(1)
		}
	}
}

// round is one wave of everything.
func (c *fleetChurn) round(t *testing.T, s size) {
	t.Helper()
	c.hook.calm.Store(false)
	ctx, cancel := context.WithTimeout(t.Context(), s.round)
	defer cancel()
	var all sync.WaitGroup
	crowds := []loadtest.Options{
		{Clients: s.viewers, Churn: float64(s.viewers) / 2, ID: "soak", Reconnect: true, URLs: []string{c.url("/streams/studio"), c.url("/streams/second")}},
		{Clients: s.viewers / 4, Churn: float64(s.viewers) / 8, Plain: true, Reconnect: true, URLs: []string{c.url("/streams/studio")}},
	}
	for _, o := range crowds {
		o.Duration, o.Ramp, o.MinDelivery, o.JoinTimeout = s.round-s.round/4, float64(o.Clients), -1, 30*time.Second
		all.Go(func() {
			report, err := loadtest.Run(ctx, o)
			if err != nil && ctx.Err() == nil {
				t.Errorf("viewers of %s: %v", o.URLs, err)
			}
			if report != nil {
				c.joins.Add(int64(report.Churned) + int64(report.Rejoined) + int64(report.Clients.Connected)) //nolint:gosec // far below
			}
		})
	}
	for i := range 4 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 2))
			every(ctx, 50*time.Millisecond, func(int) { c.relay(ctx, r) })
		})
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 3))
			every(ctx, 100*time.Millisecond, func(int) { c.page(ctx, r) })
		})
	}
	all.Go(func() { // a place is kept for ten seconds: in a short round these come at its beginning
		early, done := context.WithTimeout(ctx, max(s.round/4, s.round-12*time.Second))
		defer done()
		every(early, 2*time.Millisecond, func(int) { c.wander(early, int(c.asked.Load())) })
	})
	all.Go(func() { every(ctx, 50*time.Millisecond, func(n int) { c.steer(t, n) }) })
	all.Go(func() { every(ctx, 200*time.Millisecond, c.kick) })
	all.Go(func() { c.vandals.rage(ctx, s.vandals, 20*time.Millisecond) })
	all.Go(func() { // and the file's webhook is another one each time
		every(ctx, time.Second, func(n int) {
			c.configure(t, n%3)
			_ = c.house.cmd.Process.Signal(syscall.SIGHUP)
		})
	})
	for pause := min(s.round/2, 6*time.Second); ctx.Err() == nil; {
		select {
		case <-time.After(pause):
			c.pumps[pumpIDs[1+int(c.killed.Load())%2]].again(t)
			c.killed.Add(1)
		case <-ctx.Done():
		}
	}
	all.Wait()
	c.hook.calm.Store(true)
	c.configure(t, 0)
	_ = c.house.cmd.Process.Signal(syscall.SIGHUP)
	c.ask(t, http.MethodPut, "/api/v1/roster?name=pumps.json", roster(false))
}
