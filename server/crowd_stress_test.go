package server

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/ringbuf"
)

// crowdSize is how many viewers the mixed crowd has at a time.
const crowdSize = 200

// A crowd of every kind through a source that comes and goes, changes its header and
// lets packets of every size flow: whatever a viewer receives is whole, in order, under
// its own header, and with the right gaps.
func TestMixedCrowd(t *testing.T) {
	eachEgress(t, func(t *testing.T, egress string) {
		w := newWorld(t, plan{egress: egress, ring: ringbuf.Limits{Slots: 512}, settings: Settings{LagMax: 500 * time.Millisecond}})
		w.serveTLS()
		e := w.onAir()
		e.send(1)
		quit := make(chan struct{})
		var viewers sync.WaitGroup
		var got atomic.Int64
		for i := range crowdSize {
			viewers.Add(1)
			go func() {
				defer viewers.Done()
				watchAgain(w, i, quit, &got)
			}()
		}
		worldtest.Eventually(t, "the crowd is there", func() bool { return w.stream.Viewers() > crowdSize*3/4 })
		flap(w, e, 250)
		close(quit)
		e.pub.End()
		viewers.Wait()
		if got.Load() < crowdSize*10 {
			t.Errorf("the crowd received %d packets in all", got.Load())
		}
		if t.Failed() {
			t.Logf("closed: %+v", w.srv.Closed()[:5])
		}
	})
}

// flap publishes so often; the source is lost and comes back, and its header changes.
func flap(w *world, e *encoder, times int) {
	variant := 0
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for ; times > 0; times-- {
		<-tick.C
		switch rand.IntN(60) {
		case 0:
			e.pub.Lost()
			e.open()
			e.pub.Resume()
		case 1:
			e.pub.Lost()
			e.open()
			variant++
			e.setHeader(variant)
		case 2:
			e.send(40)
		}
		e.size = 20 + rand.IntN(1200)
		e.send(1)
	}
}

// watchAgain is one place in the crowd: a viewer of a kind that depends on i, which
// leaves and comes back if it is one of those.
func watchAgain(w *world, i int, quit <-chan struct{}, got *atomic.Int64) {
	for {
		select {
		case <-quit:
			return
		default:
		}
		if err := watchOnce(w, i, quit, got); err != nil {
			w.Errorf("viewer %d: %v", i, err)
			return
		}
	}
}

func watchOnce(w *world, i int, quit <-chan struct{}, got *atomic.Int64) error {
	c, err := crowdConn(w, i)
	if err != nil {
		return err
	}
	defer c.close()
	plain := i%10 == 3
	request := play(oldAgent)
	switch {
	case plain:
		request = get(agent(webAgent))
	case i%2 == 0:
		request = play(newAgent)
	}
	if _, err := fmt.Fprint(c.conn, request); err != nil {
		return nil // a shutdown or an end at this moment
	}
	r, err := c.readHead()
	if err != nil {
		return fmt.Errorf("no reply: %w", err)
	}
	if r.status != 200 {
		time.Sleep(10 * time.Millisecond) // 503 between two sources
		return nil
	}
	_ = c.conn.SetReadDeadline(time.Time{})
	before := func() {}
	if i%20 == 7 { // slow
		before = func() { time.Sleep(3 * time.Millisecond) }
	}
	var tape *tape
	if plain {
		tape = recordPlain(c.br, nil)
	} else {
		tape = record(c.br, before)
	}
	stay := time.Hour
	if i%5 == 1 { // leaves
		stay = time.Duration(rand.IntN(200)) * time.Millisecond
	}
	leave := time.NewTimer(stay)
	defer leave.Stop()
	select {
	case <-tape.done:
	case <-leave.C:
	case <-quit: // the stream ends now
		select {
		case <-tape.done:
		case <-time.After(patience):
			return fmt.Errorf("the stream's end does not come, at %+v", tape.now().last)
		}
	}
	c.close()
	<-tape.done
	got.Add(int64(tape.now().packets))
	return tape.fault()
}

func crowdConn(w *world, i int) (*client, error) {
	if i%10 == 5 {
		return tlsClient(w)
	}
	receive := 0
	if i%20 == 7 {
		receive = 4096
	}
	conn, err := dialBuffer(w.addr, receive)
	if err != nil {
		return nil, err
	}
	return bareClient(w.TB, conn), nil
}
