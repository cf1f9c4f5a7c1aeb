package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/asf"
)

// How many of each kind watch when the pump is ended or killed.
const (
	endFramed = 150
	endSecure = 20
	endPlain  = 20
	endSlow   = 20
)

// endViewer watches until its connection ends, and tells what was wrong.
type endViewer struct {
	name string
	run  func(seen *atomic.Int32) error // counts the packets
	seen atomic.Int32
}

// framedToTheEnd reads packets until the end of the stream, which is the last of them. A slow one takes next to
// nothing before hurry is closed.
func framedToTheEnd(port int, secure bool, hurry <-chan struct{}) func(*atomic.Int32) error {
	return func(seen *atomic.Int32) error {
		dialer := &net.Dialer{}
		if hurry != nil {
			dialer = narrow
		}
		v, err := joinRawBy(dialer, port, "card", secure)
		if err != nil {
			return err
		}
		defer v.close()
		if hurry != nil {
			seen.Add(1)
			<-hurry
		}
		var last rawFrame
		for {
			f, err := v.next(time.Minute)
			if errors.Is(err, io.EOF) && last.kind == 'E' {
				return nil
			}
			if err != nil {
				return fmt.Errorf("after %d packets, the last a $%c: %w", seen.Load(), last.kind, err)
			}
			last = f
			seen.Add(1)
		}
	}
}

// plainToTheEnd reads a file that ends between two of its packets.
func plainToTheEnd(port int) func(*atomic.Int32) error {
	return func(seen *atomic.Int32) error {
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/streams/card.asf", port))
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		r := bufio.NewReader(resp.Body)
		head, err := r.Peek(24)
		if err != nil {
			return err
		}
		size, err := asf.HeaderSize(head)
		if err != nil {
			return err
		}
		raw := make([]byte, size)
		if _, err := io.ReadFull(r, raw); err != nil {
			return err
		}
		h, err := asf.ParseHeader(raw)
		if err != nil {
			return err
		}
		packet := make([]byte, h.PacketSize)
		for {
			if n, err := io.ReadFull(r, packet); errors.Is(err, io.EOF) && n == 0 {
				return nil
			} else if err != nil {
				return fmt.Errorf("%d bytes of packet %d: %w", n, seen.Load(), err)
			}
			if _, err := asf.ParsePacket(packet, h.PacketSize, h.KeyStreams()); err != nil {
				return fmt.Errorf("packet %d: %w", seen.Load(), err)
			}
			seen.Add(1)
		}
	}
}

// SIGTERM while many watch in every way there is: each has its last packet whole and the protocol's end behind it, the
// slow too, nobody new comes in, and the program ends with status 0.
func TestTerminatedUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("runs programs; left out with -short")
	}
	pump, tlsPort, _ := securePump(t)
	hurry := make(chan struct{})
	var viewers []*endViewer
	for _, kind := range []struct {
		name string
		n    int
		run  func(*atomic.Int32) error
	}{
		{"framed", endFramed, framedToTheEnd(pump.Port, false, nil)},
		{"behind TLS", endSecure, framedToTheEnd(tlsPort, true, nil)},
		{"plain ASF", endPlain, plainToTheEnd(pump.Port)},
		{"slow", endSlow, framedToTheEnd(pump.Port, false, hurry)},
	} {
		for i := range kind.n {
			viewers = append(viewers, &endViewer{name: fmt.Sprintf("%s %d", kind.name, i), run: kind.run})
		}
	}
	ends := make([]error, len(viewers))
	var all sync.WaitGroup
	for i, v := range viewers {
		all.Go(func() { ends[i] = v.run(&v.seen) })
	}
	eventually(t, 30*time.Second, "all watch", func() bool {
		info, _ := pump.Stream(t, "card")
		busy := 0
		for _, v := range viewers {
			if v.seen.Load() > 30 {
				busy++
			}
		}
		return info.Viewers == len(viewers) && busy == len(viewers)-endSlow
	})
	if err := pump.proc.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	close(hurry)
	all.Wait()
	for i, err := range ends {
		if err != nil {
			t.Errorf("%s: %v", viewers[i].name, err)
		}
	}
	if _, err := joinRaw(pump.Port, "card", false); err == nil {
		t.Error("a viewer was let in at the end")
	}
	http.DefaultClient.CloseIdleConnections()
	if !pump.proc.ended(30 * time.Second) {
		t.Error("the pump has not ended")
	}
	pump.Stop(t) // judges how it ended
}

// SIGKILL while an encoder pushes and many watch: started again the pump has its ports at once, the encoder comes back
// by itself, and whoever asks again watches again.
func TestKilledUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("runs programs; left out with -short")
	}
	pump := Pump(t, "streams:\n  - {name: Flap, type: mmsh_push, path: flap}\n  - {name: Card, type: test_card, path: card}")
	source := newFlapSource()
	stop, silence := make(chan struct{}), make(chan struct{})
	var all, encoder sync.WaitGroup
	encoder.Go(func() { // one that does not give up
		for {
			_ = source.run(t, pump, silence)
			select {
			case <-silence:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	var joined, torn atomic.Int32
	for i := range endFramed {
		path := []string{"flap", "card"}[i%2]
		all.Go(func() {
			for {
				if err := watchUntil(pump.Port, path, stop, &joined); errors.Is(err, errTorn) {
					torn.Add(1)
				}
				select {
				case <-stop:
					return
				case <-time.After(50 * time.Millisecond):
				}
			}
		})
	}
	settled := func() bool {
		a, _ := pump.Stream(t, "flap")
		b, _ := pump.Stream(t, "card")
		return a.Viewers+b.Viewers == endFramed && a.State == "live" && b.State == "live"
	}
	eventually(t, 30*time.Second, "all watch", settled)
	for range 2 {
		pump.Kill()
		pump.Restart(t)
		eventually(t, 30*time.Second, "the encoder and all viewers are back", settled)
	}
	close(stop)
	all.Wait() // each leaves at its next packet, so the encoder goes on until then
	close(silence)
	encoder.Wait()
	t.Logf("%d joins; %d bodies ended with anything else than whole packets in order", joined.Load(), torn.Load())
	if torn.Load() > 0 {
		t.Errorf("%d viewers got something that was no packet, or out of order", torn.Load())
	}
}

var errTorn = errors.New("no packet, or not the next one")

// watchUntil watches until the connection breaks or stop is closed. That a packet is cut off where the pump was killed
// is no fault of it; what comes before is to be whole and in order.
func watchUntil(port int, path string, stop <-chan struct{}, joined *atomic.Int32) error {
	v, err := joinRaw(port, path, false)
	if err != nil {
		return err
	}
	defer v.close()
	joined.Add(1)
	var last rawFrame
	for n := 0; ; n++ {
		select {
		case <-stop:
			return nil
		default:
		}
		f, err := v.next(20 * time.Second)
		var gone *net.OpError
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &gone):
			return err
		case err != nil:
			return fmt.Errorf("%w: %w", errTorn, err)
		case n == 0 && f.kind != 'H', n > 1 && f.kind == 'D' && f.location != last.location+1:
			return errTorn
		}
		last = f
	}
}
