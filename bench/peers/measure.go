//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"
)

func processors() int { return runtime.NumCPU() }

// measure is one run. Whatever goes wrong, everything it started has ended when it
// returns, and the row says for whom it was.
func measure(ctx context.Context, s *stage, p plan, j job) (row, error) {
	r := row{Round: j.round + 1, Server: j.peer.name, Viewers: j.viewers, RateBPS: j.rate}
	v, err := s.venueFor(j)
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(v.home)
	defer func() { v.started.stop() }()
	if err := j.peer.serve(v); err != nil {
		return r, errors.Join(err, v.started.ended())
	}
	if err := v.live(ctx, j.peer); err != nil {
		return r, err
	}
	idleFrom, idleTo, err := between(ctx, v.servers(), idleWindow)
	if err != nil {
		return r, err
	}
	a, err := gather(p, j.peer, v)
	if err != nil {
		return r, err
	}
	from, to, err := attend(ctx, p, a, v)
	a.disperse()
	if err := errors.Join(err, v.started.ended()); err != nil {
		return r, err
	}
	r.watch(a, v.media.rate)
	r.charge(idleFrom, idleTo, from, to)
	return r, nil
}

func (s *stage) venueFor(j job) (*venue, error) {
	var ports []int
	for range max(j.peer.instances, 1) {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	home, err := s.home()
	if err != nil {
		return nil, err
	}
	return &venue{stage: s, address: fmt.Sprintf("%s:%d", loopback, ports[0]), ports: ports, viewers: j.viewers, home: home,
		media: s.media[mediaKey{j.peer.container, j.rate}]}, nil
}

// attend waits until all viewers have joined or had the time to, lets them settle, and
// reads the server's figures at both ends of the window.
func attend(ctx context.Context, p plan, a *audience, v *venue) (from, to usage, err error) {
	limit := time.Duration(float64(v.viewers)/float64(p.ramp)*float64(time.Second)) + joinTimeout
	_ = await(ctx, limit, "the viewers", func() bool { return int(a.settled.Load()) >= v.viewers }) // who is late is in the row
	if err := pause(ctx, p.settle); err != nil {
		return from, to, err
	}
	a.open(p.duration)
	from, to, err = between(ctx, v.servers(), p.duration)
	if err == nil {
		err = pause(ctx, 4*p.poll) // so that the loops have noticed
	}
	return from, to, err
}

// between reads the figures, waits, and reads them again.
func between(ctx context.Context, servers children, d time.Duration) (from, to usage, err error) {
	if from, err = usageOf(servers); err != nil {
		return from, to, err
	}
	if err = pause(ctx, d); err != nil {
		return from, to, err
	}
	to, err = usageOf(servers)
	return from, to, err
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// listening waits for the server to take connections.
func (v *venue) listening() error {
	return await(context.Background(), startTimeout, v.started[0].name+" to listen", func() bool {
		for _, port := range v.ports {
			c, err := net.DialTimeout("tcp", fmt.Sprintf("%s:%d", loopback, port), time.Second)
			if err != nil || c.Close() != nil {
				return false
			}
		}
		return true
	})
}

// live waits until a viewer gets the stream, of every instance.
func (v *venue) live(ctx context.Context, q *peer) error {
	var why error
	err := await(ctx, startTimeout, v.started[0].name+" to serve the stream", func() bool {
		if why = v.started.ended(); why != nil {
			return true
		}
		for _, port := range v.ports {
			if why = tryOnce(fmt.Sprintf("%s:%d", loopback, port), q.opening(v.address)); why != nil {
				return false
			}
		}
		return true
	})
	return errors.Join(err, why)
}

const tryTimeout = 5 * time.Second // key frames come every two seconds

// tryOnce is one viewer that leaves when it has joined.
func tryOnce(address string, o opening) error {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(tryTimeout)); err != nil {
		return err
	}
	say := o.hello()
	for buf := make([]byte, openingReadMax); ; {
		if len(say) > 0 {
			if _, err := c.Write(say); err != nil {
				return err
			}
		}
		n, err := c.Read(buf)
		if err != nil {
			return err
		}
		var joined bool
		if say, joined, err = o.hear(buf[:n]); joined || err != nil {
			return err
		}
	}
}
