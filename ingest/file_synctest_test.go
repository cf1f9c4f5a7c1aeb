package ingest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/internal/testcard"
)

// fileOf is an ASF file with packets 40 ms apart.
func fileOf(list [][]byte, rest []byte) []byte {
	raw := testHeader(320, func(s *asf.HeaderSpec) {
		s.Flags = asf.FlagSeekable
		s.DataSize = uint64(asf.DataHeadSize + testPacket*len(list))
		s.DataPackets, s.Packets = uint64(len(list)), uint64(len(list))
		s.PlayDuration = uint64(3000+40*len(list)) * 10_000
	})
	return join(plainBody(raw, list...), rest)
}

func write(t *testing.T, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "loop.asf")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// playFor runs a file source for d of the bubble's time.
func playFor(t *testing.T, src *File, d time.Duration, f *Feed) error {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	err := src.Run(ctx, f)
	f.Lost()
	return err
}

func TestFilePlaysForEverInRealTime(t *testing.T) {
	path := write(t, fileOf(packets(0, 25), index)) // one second
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		start := time.Now()
		err := playFor(t, NewFile(path), 3*time.Second-time.Millisecond, r.feed())
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 3*time.Second-time.Millisecond {
			t.Fatalf("ended after %v: %v", time.Since(start), err)
		}
		list := r.data()
		if len(list) != 75 {
			t.Fatalf("%d packets in three rounds of 25", len(list))
		}
		begin := list[0].Arrived
		for i, g := range list {
			want := uint32(i * 40)
			w := asf.Payloads(g.packet, testPacket)
			if send := sendTime(t, g.packet); send != want || !w.Next() || w.Payload.PresTime != want+3000 {
				t.Fatalf("packet %d is sent at %d and presented at %d, want %d and %d", i, send, w.Payload.PresTime, want, want+3000)
			}
			if came := time.Duration(g.Arrived - begin); came != time.Duration(want)*time.Millisecond {
				t.Fatalf("packet %d was published after %v, want %d ms", i, came, want)
			}
			if g.Key != (i%25%5 == 0) || g.location != uint32(i+1) {
				t.Fatalf("packet %d: key %v, LocationId %d", i, g.Key, g.location)
			}
		}
	})
}

func TestTestCardLoopsWithoutASeam(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		_ = playFor(t, NewTestCard(), 2*testcard.Duration+time.Second, r.feed())
		list := r.data()
		n := 0
		for n < len(list) && list[n].Time < list[0].Time+testcard.Duration.Milliseconds() {
			n++
		}
		if !list[0].Key || !list[n].Key {
			t.Error("a round does not begin with a key frame")
		}
		first, again := sendTime(t, list[0].packet), sendTime(t, list[n].packet)
		if again-first != uint32(testcard.Duration.Milliseconds()) {
			t.Errorf("the second round begins %d ms after the first", again-first)
		}
		for i := 1; i < len(list); i++ {
			if list[i].Time < list[i-1].Time {
				t.Fatalf("packet %d is sent before the one in front of it", i)
			}
		}
	})
}

func TestFileDoesNotCatchUpAfterASleep(t *testing.T) {
	path := write(t, fileOf(packets(0, 25), nil))
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		published := 0
		f := r.feed()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- NewFile(path).Run(ctx, f) }()
		time.Sleep(400 * time.Millisecond)
		synctest.Wait()
		published = len(r.data())
		cancel()
		<-done
		f.Lost()
		if published != 11 {
			t.Errorf("%d packets after 400 ms, want 11", published)
		}
	})
}

// pipe makes one where a film should be: opening it as a file would wait for ever.
func pipe(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "loop.asf")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFileErrors(t *testing.T) {
	list := packets(0, 25)
	whole := fileOf(list, nil)
	short := func(n int) []byte { return whole[:n] }
	for _, c := range []struct {
		name string
		path func(t *testing.T) string
		text []string
	}{
		{"missing", func(t *testing.T) string { return filepath.Join(t.TempDir(), "no.asf") }, []string{"no.asf", "no such file"}},
		{"a folder", func(t *testing.T) string { return t.TempDir() }, []string{"no regular file"}},
		{"a pipe that nobody writes to", pipe, []string{"loop.asf is a pipe: no regular file"}},
		{"empty", func(t *testing.T) string { return write(t, nil) }, []string{"loop.asf, 0 bytes"}},
		{"not ASF", func(t *testing.T) string { return write(t, []byte(strings.Repeat("RIFF", 99))) }, []string{"loop.asf", "not an ASF file"}},
		{"cut in the header", func(t *testing.T) string { return write(t, short(200)) }, []string{"loop.asf, 200 bytes", "200 of"}},
		{"cut in the packets", func(t *testing.T) string { return write(t, short(len(whole)-700)) }, []string{"cut off", "ends at"}},
		{"no packets", func(t *testing.T) string { return write(t, testHeader(320)) }, []string{"no packets"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			err := playFor(t, NewFile(c.path(t)), time.Second, r.feed())
			for _, text := range c.text {
				if err == nil || !strings.Contains(err.Error(), text) {
					t.Errorf("error %v, want one that says %q", err, text)
				}
			}
		})
	}
	t.Run("grows while it plays", func(t *testing.T) {
		path := write(t, fileOf(list, nil))
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			f := r.feed(func(o *FeedOptions) {
				o.OnLive = func() { _ = os.WriteFile(path, append(whole, 0), 0o600) }
			})
			if err := playFor(t, NewFile(path), time.Minute, f); err == nil || !strings.Contains(err.Error(), "has changed") {
				t.Errorf("ended with %v", err)
			}
		})
	})
	t.Run("a recording of a live stream, without sizes, with an index", func(t *testing.T) {
		path := write(t, join(plainBody(testHeader(320), list...), index))
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			_ = playFor(t, NewFile(path), 1010*time.Millisecond, r.feed())
			if n := len(r.data()); n != 26 {
				t.Errorf("%d packets, want a round of 25 and the first of the next", n)
			}
		})
	})
}
