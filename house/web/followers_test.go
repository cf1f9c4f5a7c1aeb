package web

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// crowd is a world whose clients say where they come from.
func crowd(t *testing.T) *world {
	return newWorld(t, func(o *Options) {
		o.Remote = func(r *http.Request) netip.Addr { a, _ := netip.ParseAddr(r.Header.Get("X-From")); return a }
	})
}

// follow begins to follow the fleet with a token and returns the status, and what ends it.
func (w *world) follow(c *http.Client, token, from string) (status int, end func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.server.URL+"/api/v1/live", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("X-From", from)
	resp, err := c.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	end = func() { cancel(); _ = resp.Body.Close() }
	w.t.Cleanup(end)
	if resp.StatusCode == http.StatusOK { // the place is taken once something has come
		if line, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil || !strings.HasPrefix(line, "event: fleet") {
			w.t.Fatalf("%q, %v", line, err)
		}
	} else if resp.Header.Get("Retry-After") == "" {
		w.t.Errorf("%d without a time to come again", resp.StatusCode)
	}
	return resp.StatusCode, end
}

func (w *world) token(name string) string {
	w.t.Helper()
	_, text, err := w.desk.CreateToken(w.t.Context(), name, RoleLook, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

// Who follows the fleet is counted: by user or token wherever it comes from, by address whatever
// it shows, and altogether. One more is told to come again; a place that was left is free.
func TestFollowersAreBounded(t *testing.T) {
	w := crowd(t)
	c := w.newClient()
	c.Timeout = 0
	one, two := w.token("one"), w.token("two")
	var last func()
	place := func(n int) string { return fmt.Sprintf("10.1.%d.%d", n/250, n%250+1) }
	for n := range maxLiveOf {
		status, end := w.follow(c, one, place(n))
		if status != http.StatusOK {
			t.Fatalf("follower %d of a token: %d", n, status)
		}
		last = end
	}
	if status, _ := w.follow(c, one, place(maxLiveOf)); status != http.StatusServiceUnavailable {
		t.Errorf("one more of the same token, from elsewhere: %d", status)
	}
	for n := range maxLiveOf {
		token := w.token(fmt.Sprint("at one address ", n))
		if status, _ := w.follow(c, token, fmt.Sprintf("2001:db8::%d", n+1)); status != http.StatusOK {
			t.Fatalf("follower %d of an IPv6 network: %d", n, status)
		}
	}
	if status, _ := w.follow(c, two, "2001:db8::ffff"); status != http.StatusServiceUnavailable {
		t.Errorf("one more of the same network, with another token: %d", status)
	}
	if status, _ := w.follow(c, two, "2001:db8:1::1"); status != http.StatusOK {
		t.Errorf("another token elsewhere: %d", status)
	}
	last()
	deadline := time.Now().Add(time.Minute)
	for status := 0; status != http.StatusOK; status, _ = w.follow(c, one, place(maxLiveOf)) {
		if time.Now().After(deadline) {
			t.Fatal("a place that was left is not free")
		}
	}
	for n := 2*maxLiveOf + 1; n < maxLive; n++ {
		if status, _ := w.follow(c, w.token(fmt.Sprint("another ", n)), place(1000+n)); status != http.StatusOK {
			t.Fatalf("follower %d: %d", n, status)
		}
	}
	if status, _ := w.follow(c, w.token("the last"), "192.0.2.200"); status != http.StatusServiceUnavailable {
		t.Errorf("one more than may follow altogether: %d", status)
	}
	if r := w.do(c, http.MethodGet, "/api/v1/fleet", "", "Authorization", "Bearer "+two, "X-From", "192.0.2.200"); r.status != http.StatusOK {
		t.Errorf("who asks meanwhile: %d", r.status)
	}
}
