package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// unheard makes a change whose acknowledgement gets lost, and returns it as it is when that is noticed.
func unheard(ctx context.Context, t *testing.T, s *natsStore, key, value string, revision uint64) *change {
	t.Helper()
	c := s.newChange(key, []byte(value), revision)
	if err := s.nc.PublishMsg(c.message()); err != nil {
		t.Fatal(err)
	}
	becomes(t, "it is taken", func() bool { e, err := s.Get(ctx, key); return err == nil && string(e.Value) == value })
	c.unsure = true
	return c
}

// A put whose acknowledgement was lost is tried again, and is known then: it is there once, and no conflict.
func TestAPutThatWasTakenUnheardIsKnownAgain(t *testing.T) {
	kinds := map[string]func(t *testing.T) Store{
		"embedded": func(t *testing.T) Store { return open(t, Options{Name: "a", Dir: t.TempDir()}) },
		"existing": func(t *testing.T) Store { return open(t, Options{Name: "a", URLs: []string{newExisting(t).url()}}) },
		"cluster":  func(t *testing.T) Store { return openCluster(t, 3)[0] },
	}
	for kind, make := range kinds {
		t.Run(kind, func(t *testing.T) {
			if testing.Short() && kind == "cluster" {
				t.Skip("takes seconds")
			}
			s := make(t).(*natsStore)
			ctx := within(t, 60*time.Second)
			first, err := s.Put(ctx, "a.x", []byte("one"), Absent)
			if err != nil {
				t.Fatal(err)
			}
			for key, based := range map[string]uint64{"a.x": first, "a.new": Absent, "a.any": Any} {
				c := unheard(ctx, t, s, key, "two", based)
				r, err := s.do(ctx, c)
				if err != nil {
					t.Errorf("%s: %v", key, err)
					continue
				}
				if e, err := s.Get(ctx, key); err != nil || e.Revision != r || string(e.Value) != "two" {
					t.Errorf("%s: %+v, %v; it was put with %d", key, e, err, r)
				}
			}
		})
	}
}

// If somebody has changed the entry after a put whose acknowledgement was lost, nobody can tell: that it was not made must
// not be said. A put that was certainly not made is refused.
func TestAPutOfWhichNobodyKnows(t *testing.T) {
	s := open(t, Options{Name: "a", Dir: t.TempDir()}).(*natsStore)
	ctx := within(t, 60*time.Second)
	c := unheard(ctx, t, s, "a.x", "one", Absent)
	if _, err := s.Put(ctx, "a.x", []byte("another's"), Any); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := s.do(short, c); !errors.Is(err, ErrUnavailable) {
		t.Errorf("one that was made: %v", err)
	}
	if _, err := s.Put(ctx, "a.x", []byte("three"), Absent); !errors.Is(err, ErrChanged) || errors.Is(err, ErrUnavailable) {
		t.Errorf("one that was not: %v", err)
	}
	if e, err := s.Get(ctx, "a.x"); err != nil || string(e.Value) != "another's" {
		t.Errorf("%s, %v", e.Value, err)
	}
}

// A change that comes while the store has no leader, or is away, is made once it is back.
func TestAChangeWaitsForTheStoreToComeBack(t *testing.T) {
	a := newExisting(t)
	s := open(t, Options{Name: "a", URLs: []string{a.url()}})
	ctx := within(t, 120*time.Second)
	a.stop()
	done := make(chan error, 1)
	go func() {
		_, err := s.Put(ctx, "a.x", []byte("one"), Absent)
		done <- err
	}()
	a.start()
	if err := <-done; err != nil && !errors.Is(err, ErrUnavailable) { // on a slow machine it may have been away for too long
		t.Error(err)
	}
	becomes(t, "changes are taken again", func() bool { _, err := s.Put(ctx, "a.y", nil, Any); return err == nil })
}

// Nothing is acknowledged before it is on the disk, and what comes together is synced together.
func TestNothingIsAcknowledgedBeforeItIsSynced(t *testing.T) {
	s := open(t, Options{Name: "a", Dir: t.TempDir()}).(*natsStore)
	ctx := within(t, 60*time.Second)
	s.noting.Lock() // else the pulse would have its note synced meanwhile
	defer s.noting.Unlock()
	really := s.embedded.syncer.sync
	syncs, began, goOn := atomic.Int64{}, make(chan struct{}, 1), make(chan struct{})
	s.embedded.syncer.sync = func() error {
		syncs.Add(1)
		select {
		case began <- struct{}{}:
		default:
		}
		<-goOn
		return really()
	}
	const together = 50
	var all sync.WaitGroup
	acknowledged := atomic.Int64{}
	for i := range together {
		all.Go(func() {
			if _, err := s.Put(ctx, fmt.Sprintf("a.%d", i), []byte("x"), Absent); err != nil {
				t.Error(err)
			}
			acknowledged.Add(1)
		})
	}
	<-began
	becomes(t, "all are taken by the server", func() bool {
		e, err := s.Get(ctx, fmt.Sprintf("a.%d", together-1))
		return err == nil && e.Revision > 0
	})
	if n := acknowledged.Load(); n != 0 {
		t.Errorf("%d were acknowledged before anything was synced", n)
	}
	close(goOn)
	all.Wait()
	if n := syncs.Load(); n > together/2 {
		t.Errorf("%d syncs for %d changes that came together", n, together)
	}
	s.embedded.syncer.sync = func() error { return fmt.Errorf("%w: the disk is broken", ErrUnavailable) }
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := s.Put(short, "a.y", nil, Any); !errors.Is(err, ErrUnavailable) {
		t.Errorf("what could not be synced is acknowledged: %v", err)
	}
	s.embedded.syncer.sync = really
}

// A watch yields what changes though the server's own watch has died without a word.
func TestAWatchDoesWithoutTheServers(t *testing.T) {
	s := open(t, Options{Name: "a", URLs: []string{newExisting(t).url()}})
	n := s.(*natsStore)
	ctx := within(t, 120*time.Second)
	gone, err := s.Put(ctx, "a.gone", nil, Any)
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.Watch(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	for c := next(t, w); !c.Whole; c = next(t, w) {
	}
	stream, err := n.stateStream()
	if err != nil {
		t.Fatal(err)
	}
	killing, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	kill := func() int {
		killed := 0
		for name := range stream.ConsumerNames(killing).Name() {
			if stream.DeleteConsumer(killing, name) == nil {
				killed++
			}
		}
		return killed
	}
	if kill() == 0 {
		t.Fatal("the server has no watch")
	}
	all.Go(func() { // and none lives for long
		for killing.Err() == nil {
			kill()
			select {
			case <-killing.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	defer func() { stop(); all.Wait() }()
	other := open(t, Options{Name: "b", URLs: n.opts.URLs})
	for i := range 3 {
		if _, err := other.Put(ctx, "a.x", []byte(fmt.Sprint(i)), Any); err != nil {
			t.Fatal(err)
		}
		if c := next(t, w); c.Key != "a.x" || string(c.Value) != fmt.Sprint(i) {
			t.Errorf("%+v", c)
		}
	}
	if err := other.Delete(ctx, "a.gone", gone); err != nil {
		t.Fatal(err)
	}
	if c := next(t, w); c.Key != "a.gone" || !c.Deleted {
		t.Errorf("%+v", c)
	}
}
