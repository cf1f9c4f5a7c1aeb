package telemetry

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestCaughtPanicIsCountedAndToldWithItsStackOnce(t *testing.T) {
	forgetPanics(t)
	var b bytes.Buffer
	log := slog.New(slog.NewTextHandler(&b, nil))
	before := Panics()
	const times = 9
	for range times {
		func() {
			defer func() { CaughtPanic(log, "a test", recover()) }()
			provoke(nil)
		}()
	}
	if n := Panics() - before; n != times {
		t.Errorf("%d panics counted, want %d", n, times)
	}
	text := b.String()
	if n := strings.Count(text, "stack="); n != 1 {
		t.Errorf("%d stacks in the log, want 1:\n%s", n, text)
	}
	if n := strings.Count(text, "\n"); n != 4 { // the 1st, 2nd, 4th and 8th
		t.Errorf("%d lines, want 4:\n%s", n, text)
	}
	for _, want := range []string{"where=\"a test\"", "nil map", "telemetry.provoke:", "times=8"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the log:\n%s", want, text)
		}
	}
}

// forgetPanics lets a test begin as a program does: places are counted for as long as it lives.
func forgetPanics(t *testing.T) {
	t.Helper()
	set := func(sites map[string]uint64) (before map[string]uint64) {
		panics.mu.Lock()
		defer panics.mu.Unlock()
		before, panics.sites = panics.sites, sites
		return before
	}
	before := set(map[string]uint64{})
	t.Cleanup(func() { set(before) })
}

//go:noinline
func provoke(m map[int]int) { m[1] = 1 }

func TestPanicsOfManyPlacesShareABound(t *testing.T) {
	forgetPanics(t)
	panics.mu.Lock()
	for i := range maxPanicSites {
		panics.sites[string(rune('a'+i))] = 1
	}
	panics.mu.Unlock()
	func() {
		defer func() { CaughtPanic(slog.New(slog.DiscardHandler), "a test", recover()) }()
		provoke(nil)
	}()
	if n := len(panics.sites); n != maxPanicSites+1 || panics.sites[otherKey] != 1 {
		t.Errorf("%d places, %d others", n, panics.sites[otherKey])
	}
}
