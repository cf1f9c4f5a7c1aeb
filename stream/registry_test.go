package stream

import (
	"fmt"
	"sync"
	"testing"
)

func TestRegistry(t *testing.T) {
	r := NewRegistry()
	a, b := newStage(t, func(o *Options) { o.Path = "Abc" }).Stream, newStage(t, func(o *Options) { o.Path = "bbb" }).Stream
	for _, s := range []*Stream{a, b} {
		if err := r.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Add(newStage(t, func(o *Options) { o.Path = "ABC" }).Stream); err == nil {
		t.Error("a path was given twice")
	}
	if r.Lookup("aBC") != a || r.Lookup("no") != nil {
		t.Error("look-up without case")
	}
	if all := r.All(); len(all) != 2 || all[0] != a || all[1] != b {
		t.Errorf("all: %v", all)
	}
	r.Remove(newStage(t, func(o *Options) { o.Path = "abc" }).Stream) // another one of that path
	if r.Lookup("abc") != a {
		t.Error("the wrong stream was removed")
	}
	r.Remove(a)
	if r.Lookup("abc") != nil {
		t.Error("the stream is still there")
	}
}

func TestRegistryFromManyGoroutines(t *testing.T) {
	r := NewRegistry()
	var all sync.WaitGroup
	for i := range 8 {
		s := newStage(t, func(o *Options) { o.Path = fmt.Sprint("s", i) }).Stream
		all.Go(func() {
			for range 50 {
				if err := r.Add(s); err != nil {
					t.Error(err)
				}
				if r.Lookup(s.Path()) != s {
					t.Errorf("%s is not there", s.Path())
				}
				r.Remove(s)
			}
		})
	}
	all.Wait()
	if n := len(r.All()); n != 0 {
		t.Errorf("%d streams are left", n)
	}
}
