package simulate

import (
	"fmt"
	"sync"
	"time"

	"github.com/stream-pump/stream-pump/fleet"
)

// pump is one that only says what it does.
type pump struct {
	id    string
	limit int64
	send  func(*fleet.Batch) (fleet.Receipt, error)

	mu       sync.Mutex
	boot     string
	number   int64
	first    int64 // of events[0]
	events   []fleet.Event
	viewers  int64
	joined   int64
	refused  int64 // came, and there was no room
	assigned int64 // were sent here
	config   string
	parent   string
}

// arrive is a viewer who was sent here.
func (p *pump) arrive(client, address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.viewers >= p.limit {
		p.refused++
		return
	}
	p.viewers++
	p.joined++
	p.events = append(p.events, fleet.Event{Kind: fleet.KindJoin, Viewer: &fleet.Viewer{
		ID: fmt.Sprint(p.joined), Client: client, Stream: streamPath, Address: address, Agent: "NSPlayer/12.0.7601.17514", Kind: "mmsh", Health: fleet.HealthGood,
	}})
}

// batch is what is to be told now.
func (p *pump) batch() *fleet.Batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.number++
	return &fleet.Batch{
		Pump: p.id, Boot: p.boot, Number: p.number, First: p.first, Events: p.events[:min(len(p.events), fleet.MaxEvents)],
		State: &fleet.State{
			UptimeS: p.number, CPU: 0.2, Processors: 2, Memory: 100 << 20, Viewers: p.viewers, Joined: p.joined, Refused: p.refused,
			InBPS: streamRate, OutBPS: p.viewers * streamRate, Config: p.config,
			Streams: []fleet.StreamState{{Path: streamPath, State: fleet.StreamLive, Viewers: p.viewers, BPS: streamRate, InBPS: streamRate, OutBPS: p.viewers * streamRate, Parent: p.parent}},
		},
	}
}

// tell sends a batch, and more as long as events are left.
func (p *pump) tell() error {
	for {
		r, err := p.send(p.batch())
		if err != nil {
			return err
		}
		p.mu.Lock()
		if n := r.Acked - p.first + 1; n > 0 {
			p.events, p.first = p.events[n:], r.Acked+1
		}
		left := len(p.events)
		p.mu.Unlock()
		if left < fleet.MaxEvents {
			return nil
		}
	}
}

// live tells a batch at each interval, from a moment of its own on, until stop is closed.
func (p *pump) live(stop <-chan struct{}, interval, phase time.Duration, failed func(error)) {
	wait := time.NewTimer(phase)
	defer wait.Stop()
	for {
		select {
		case <-stop:
			return
		case <-wait.C:
		}
		began := time.Now()
		if err := p.tell(); err != nil {
			select {
			case <-stop: // it was the end
			default:
				failed(fmt.Errorf("pump %s: %w", p.id, err))
			}
			return
		}
		wait.Reset(max(interval-time.Since(began), 0))
	}
}
