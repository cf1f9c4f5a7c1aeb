package server

import (
	"bufio"
	"io"
	"math"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/mmsh"
)

// headCount follows how many are watching, as the server tells it.
type headCount struct {
	mu       sync.Mutex
	now, top int
}

func (h *headCount) Joined(Viewer) { h.add(1) }
func (h *headCount) Left(Viewer)   { h.add(-1) }

func (h *headCount) add(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now += n
	h.top = max(h.top, h.now)
}

func (h *headCount) most() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.top
}

// Thousands are connected and ask in the same moment, over real connections: exactly as
// many as fit are let in, whatever the limit is, and at no moment is there one more. All
// others have the answer of a full house.
func TestThousandsAskAtOnce(t *testing.T) {
	const (
		thousands = 3000
		fit       = 300
		each      = 800_000 // bit/s that the header announces
	)
	stream := func(b access.StreamBounds) access.Bounds {
		return access.Bounds{Streams: map[string]access.StreamBounds{"x": b}}
	}
	for _, c := range []struct {
		name   string
		bounds access.Bounds
		set    Settings
		ask    string
	}{
		{"viewers", access.Bounds{Viewers: fit}, Settings{}, play(oldAgent)},
		{"viewers of the stream", stream(access.StreamBounds{Viewers: fit}), Settings{}, play(oldAgent)},
		{"viewers of the address", access.Bounds{ViewersPerAddress: fit}, Settings{}, play(oldAgent)},
		{"viewers of the stream in a second", stream(access.StreamBounds{ViewersPerSecond: fit}), Settings{}, play(oldAgent)},
		{"bandwidth", access.Bounds{Bandwidth: fit*each + 1}, Settings{}, play(oldAgent)},
		{"uplink", access.Bounds{}, Settings{Uplink: (fit*each + each/2) * 1514 / 1448 * 100 / 95}, play(oldAgent)},
		{"pumps", access.Bounds{Pumps: access.PumpBounds{Count: fit}}, Settings{}, play(newAgent, pragma(mmsh.TokenRelay+"=1"))},
	} {
		t.Run(c.name, func(t *testing.T) {
			heads := &headCount{}
			w := newWorld(t, plan{bounds: c.bounds, settings: c.set, audience: heads, ring: roomy})
			var here, start, done sync.WaitGroup
			var mu sync.Mutex
			answers := map[string]int{}
			here.Add(thousands)
			start.Add(1)
			for range thousands {
				done.Go(func() {
					conn, err := net.DialTimeout("tcp", w.addr, patience)
					here.Done()
					if err != nil {
						t.Error(err)
						return
					}
					w.Cleanup(func() { _ = conn.Close() })
					start.Wait()
					_ = conn.SetDeadline(time.Now().Add(3 * patience))
					_, _ = io.WriteString(conn, c.ask)
					line, err := bufio.NewReaderSize(conn, 64).ReadString('\n')
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					answers[strings.Fields(line)[1]]++
				})
			}
			here.Wait()
			began := time.Now()
			w.onAir().send(1) // now, so that what a viewer costs is what the header says: it is measured after ten seconds
			start.Done()
			done.Wait()
			most := fit
			if c.bounds.Streams["x"].ViewersPerSecond > 0 { // a slow machine takes several to ask
				most = fit * (1 + int(math.Ceil(time.Since(began).Seconds())))
			}
			if n := answers["200"]; n < fit || n > most || answers["453"] != thousands-n {
				t.Errorf("answers %v, want %d to %d times 200", answers, fit, most)
			}
			if heads.most() > most {
				t.Errorf("at one moment %d were watching, want %d at most", heads.most(), most)
			}
			if u := w.limits.Usage(); u.Viewers+u.Pumps != answers["200"] {
				t.Errorf("%+v, want %d", u, answers["200"])
			}
		})
	}
}
