package server

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/ringbuf"
	"github.com/stream-pump/stream-pump/stream"
)

// Joiners look for their place while the stream's header changes, ends and begins again
// at every moment. Whoever gets a place has the header of the packets there, or meets
// the change or the end that lies between.
func TestPlaceWhileTheStreamTurns(t *testing.T) {
	pool := ringbuf.NewPool(0)
	s := stream.New(stream.Options{Path: "x", Pool: pool, Ring: ringbuf.Limits{Slots: 64}, EndFrame: []byte("end")})
	w := &world{TB: t}
	quit := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			for {
				select {
				case <-quit:
					return
				default:
				}
				if err := followPlace(s, quit); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	e := w.encoder(s)
	for end := time.Now().Add(600 * time.Millisecond); time.Now().Before(end) && !t.Failed(); {
		e.open()
		for variant := range 3 {
			e.setHeader(variant)
			e.send(5)
		}
		e.pub.End()
	}
	close(quit)
	readers.Wait()
	s.Close()
	if err := s.Discard(t.Context()); err != nil {
		t.Error(err)
	}
	if n := pool.Live(); n != 0 {
		t.Errorf("%d slabs are still referred to", n)
	}
}

// followPlace joins and follows the ring until the first thing that is not data.
func followPlace(s *stream.Stream, quit <-chan struct{}) error {
	seq, h := livePlace(s, time.Second)
	if h == nil {
		return nil
	}
	for joined := seq; ; {
		var slabs [1]*ringbuf.Slab
		n, lapped := s.Ring().Take(seq, slabs[:])
		switch {
		case lapped:
			return nil
		case n == 0:
			select {
			case <-quit:
				return nil
			default:
			}
			continue
		}
		kind, epoch := slabs[0].Kind, slabs[0].Epoch
		slabs[0].Release()
		switch {
		case kind == ringbuf.Data && epoch != h.Epoch:
			return fmt.Errorf("joined at %d with the header of epoch %d, met packet %d of epoch %d", joined, h.Epoch, seq, epoch)
		case kind == ringbuf.End, kind == ringbuf.Change && epoch != h.Epoch:
			return nil
		}
		seq++
	}
}
