package store

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
)

// memoryBus carries words within a program.
type memoryBus struct {
	mu     sync.Mutex
	hears  map[*memoryEar]struct{}
	serves map[string]func([]byte) []byte
	closed bool
}

type word struct {
	subject string
	data    []byte
}

// memoryEar is a subscription; what does not fit in c is lost, as on a network.
type memoryEar struct {
	pattern []string
	c       chan word
	done    chan struct{}
	end     sync.Once
}

func (e *memoryEar) stop() { e.end.Do(func() { close(e.done) }) }

func (b *memoryBus) Publish(subject string, data []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return fmt.Errorf("publishing %s: %w", subject, ErrUnavailable)
	}
	for e := range b.hears {
		if fits(e.pattern, strings.Split(subject, ".")) {
			select {
			case e.c <- word{subject, bytes.Clone(data)}:
			default:
			}
		}
	}
	return nil
}

// fits compares a subject with a pattern as NATS does.
func fits(pattern, subject []string) bool {
	for i, p := range pattern {
		if p == ">" {
			return len(subject) > i
		}
		if i >= len(subject) || p != "*" && p != subject[i] {
			return false
		}
	}
	return len(pattern) == len(subject)
}

func (b *memoryBus) Subscribe(pattern string, hear func(string, []byte)) (func(), error) {
	e := &memoryEar{pattern: strings.Split(pattern, "."), c: make(chan word, 4096), done: make(chan struct{})}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, fmt.Errorf("subscribing %s: %w", pattern, ErrUnavailable)
	}
	if b.hears == nil {
		b.hears = map[*memoryEar]struct{}{}
	}
	b.hears[e] = struct{}{}
	go func() {
		for {
			select {
			case w := <-e.c:
				hear(w.subject, w.data)
			case <-e.done:
				return
			}
		}
	}()
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.hears, e)
		e.stop()
	}, nil
}

func (b *memoryBus) Serve(subject string, answer func([]byte) []byte) (func(), error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.serves == nil {
		b.serves = map[string]func([]byte) []byte{}
	}
	b.serves[subject] = answer
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.serves, subject)
	}, nil
}

func (b *memoryBus) Request(ctx context.Context, subject string, data []byte) ([]byte, error) {
	b.mu.Lock()
	answer := b.serves[subject]
	b.mu.Unlock()
	if answer == nil {
		return nil, fmt.Errorf("asking %s: %w", subject, ErrNotFound)
	}
	c := make(chan []byte, 1)
	go func() {
		if a := answer(data); a != nil {
			c <- a
		}
	}()
	select {
	case a := <-c:
		return a, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("asking %s: %w", subject, ctx.Err())
	}
}

func (b *memoryBus) Connected() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.closed
}

func (b *memoryBus) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for e := range b.hears {
		e.stop()
	}
	b.hears = nil
}
