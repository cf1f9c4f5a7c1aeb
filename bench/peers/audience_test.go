//go:build linux

package main

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"
)

// drip is a server that sends everybody 1000 bytes every 10 ms, but for every tenth
// viewer, to whom it says nothing after the first piece.
func drip(t *testing.T) (port int) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	t.Cleanup(func() {
		stop()
		ln.Close()
		all.Wait()
	})
	all.Go(func() {
		for i := 0; ; i++ {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() { serveDrip(ctx, c, i%10 == 9) })
		}
	})
	return ln.Addr().(*net.TCPAddr).Port
}

func serveDrip(ctx context.Context, c net.Conn, silent bool) {
	defer c.Close()
	piece := make([]byte, 1000)
	if _, err := c.Write([]byte("HTTP/1.0 200 OK\r\n\r\nG")); err != nil {
		return
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for sent, began := 0, time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for due := int(time.Since(began) / (10 * time.Millisecond)); !silent && sent < due; sent++ { // a busy machine skips ticks
			if _, err := c.Write(piece); err != nil {
				return
			}
		}
	}
}

// The viewers count what they get, and know who was left without.
func TestAudience(t *testing.T) {
	p := plan{ramp: 1000, poll: 2 * time.Millisecond, duration: 2500 * time.Millisecond}
	v := &venue{address: "127.0.0.1", ports: []int{drip(t)}, viewers: 40}
	a, err := gather(p, icecast, v)
	if err != nil {
		t.Fatal(err)
	}
	defer a.disperse()
	if err := await(t.Context(), time.Minute, "the viewers", func() bool { return a.settled.Load() == 40 }); err != nil {
		t.Fatal(err)
	}
	a.open(p.duration)
	if err := pause(t.Context(), p.duration+100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	a.disperse()
	var r row
	r.watch(a, 800_000)
	if r.Joined != 40 || r.Served > 36 || r.Served < 30 || r.WorstBPS != 0 {
		t.Errorf("%d joined, %d served, worst %.0f bit/s; want 40, about 36, 0", r.Joined, r.Served, r.WorstBPS)
	}
	if r.BPS < 600_000 || r.BPS > 900_000 {
		t.Errorf("median %.0f bit/s, want about 800000", r.BPS)
	}
	if r.GapP99 < 2400 || r.JoinP50 <= 0 || r.Segments <= 0 {
		t.Errorf("longest gap %.0f ms, join %.1f ms, %.1f segments", r.GapP99, r.JoinP50, r.Segments)
	}
}

// What cannot be reached is an error of the row, not of the program.
func TestAudienceOfNobody(t *testing.T) {
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	a, err := gather(plan{ramp: 1000, poll: time.Millisecond}, icecast, &venue{address: "127.0.0.1", ports: []int{port}, viewers: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer a.disperse()
	if err := await(t.Context(), time.Minute, "the viewers", func() bool { return a.failed.Load() == 4 }); err != nil {
		t.Fatal(err)
	}
	a.disperse()
	var r row
	r.watch(a, 1)
	if r.Joined != 0 || r.FirstError == "" {
		t.Errorf("%d joined, first error %q", r.Joined, r.FirstError)
	}
}
