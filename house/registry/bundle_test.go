package registry

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/house/roster"
	"github.com/stream-pump/stream-pump/house/store"
)

// mortal is a store whose house dies after so many changes: none of its later ones gets through.
type mortal struct {
	store.Store
	left atomic.Int64
}

func (m *mortal) die() bool { return m.left.Add(-1) < 0 }

func (m *mortal) Put(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if m.die() {
		return 0, store.ErrUnavailable
	}
	return m.Store.Put(ctx, key, value, revision)
}

func (m *mortal) Delete(ctx context.Context, key string, revision uint64) error {
	if m.die() {
		return store.ErrUnavailable
	}
	return m.Store.Delete(ctx, key, revision)
}

// A house dies at any point of an import: before the import was written down the next house has the old roster,
// afterwards the new one, with its keys and its expectations. Nothing of the import's own is left.
func TestAnImportIsWholeWhereverTheHouseDies(t *testing.T) {
	old := file(t, `[{"id": "a", "key": "`+cheap(t, "a")+`"}, {"id": "b", "parents": ["a"]}, {"id": "c"}]`)
	next := file(t, `{"pumps": [{"id": "b", "title": "B"}, {"id": "d", "key": "`+cheap(t, "d")+`"}, {"id": "c"}], "expect": ["10.0.0.1 → none"]}`)
	finished := false
	for n := int64(0); !finished; n++ {
		s := store.NewMemory(nil)
		m := &mortal{Store: s}
		m.left.Store(1 << 40)
		h := newHouse(t, m)
		if err := h.ImportRoster(within(t), old); err != nil {
			t.Fatal(err)
		}
		m.left.Store(n)
		finished = h.ImportRoster(within(t), next) == nil
		h.Close()
		again := newHouse(t, s).State()
		got := fmt.Sprintf("%s %v %v %d", ids(again.Roster), again.HasKey("a"), again.HasKey("d"), len(again.Roster.Expectations))
		want := "b d c false true 1"
		if n == 0 {
			want = "a b c true false 0"
		}
		if got != want {
			t.Errorf("after %d changes: %s, want %s", n, got, want)
		}
		if again.bundle.pending() || len(again.parts) != 0 {
			t.Errorf("after %d changes: something is left", n)
		}
	}
}

// bulky is a roster that does not fit in one entry, packed or not.
func bulky(t *testing.T, pumps int) *roster.File {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	var list []string
	for i := range pumps {
		title := make([]byte, 120)
		for k := range title {
			title[k] = byte('!' + rng.IntN(90))
		}
		list = append(list, fmt.Sprintf(`{"id": "p%d", "title": %q}`, i, title))
	}
	return file(t, "["+strings.Join(list, ",")+"]")
}

func TestALargeImportIsWholeToo(t *testing.T) {
	const pumps = 4000
	next := bulky(t, pumps)
	for _, n := range []int64{1, 2, 3, 5, 500} {
		s := store.NewMemory(nil)
		m := &mortal{Store: s}
		m.left.Store(1 << 40)
		h := newHouse(t, m)
		h.put(t, roster.Pump{ID: "old"})
		m.left.Store(n)
		if h.ImportRoster(within(t), next) == nil {
			t.Fatal("the house did not die")
		}
		h.Close()
		again := newHouse(t, s)
		again.later(2 * discardAfter) // what is not ready is given up by then
		if err := again.Resume(within(t)); err != nil {
			t.Error(err)
		}
		if got := len(again.State().Roster.Pumps); got != 1 && got != pumps || n == 500 && got != pumps {
			t.Errorf("after %d changes there are %d pumps", n, got)
		}
		if again.State().bundle.pending() {
			t.Errorf("after %d changes something is left", n)
		}
	}
}

// What somebody has changed since a house died in its import is not undone by going on with it.
func TestGoingOnWithAnImportUndoesNothing(t *testing.T) {
	s := store.NewMemory(nil)
	m := &mortal{Store: s}
	m.left.Store(1 << 40)
	h, other := newHouse(t, m), newHouse(t, s)
	h.put(t, roster.Pump{ID: "a"}, roster.Pump{ID: "b"})
	m.left.Store(1) // it is written down, and no more
	if err := h.ImportRoster(within(t), file(t, `[{"id": "a", "title": "A"}, {"id": "b", "title": "B"}, {"id": "c"}]`)); err == nil {
		t.Fatal("the house did not die")
	}
	if err := other.until(within(t), func(s *State) bool { return ids(s.Roster) == "a b" }); err != nil {
		t.Fatal(err)
	}
	if _, err := other.PutPump(within(t), roster.Pump{ID: "b", Title: "by hand"}, 0); err != nil {
		t.Fatal(err)
	}
	if err := other.until(within(t), func(s *State) bool { return s.bundle.pending() }); err != nil {
		t.Fatal(err)
	}
	if err := other.Resume(within(t)); err != nil {
		t.Fatal(err)
	}
	a, _, _ := other.State().Pump("a")
	b, _, _ := other.State().Pump("b")
	if ids(other.State().Roster) != "a b c" || a.Title != "A" || b.Title != "by hand" {
		t.Errorf("%s, %q, %q", ids(other.State().Roster), a.Title, b.Title)
	}
}

// Two houses import at the same time: both are done, one after the other, and nobody ever sees half of one.
func TestTwoImportsAtTheSameTime(t *testing.T) {
	s := store.NewMemory(nil)
	a, b, watcher := newHouse(t, s), newHouse(t, s), newHouse(t, s)
	of := func(prefix string) *roster.File {
		var list []string
		for i := range 50 {
			list = append(list, fmt.Sprintf(`{"id": "%s%d"}`, prefix, i))
		}
		return file(t, "["+strings.Join(list, ",")+"]")
	}
	stop := make(chan struct{})
	var all, looking sync.WaitGroup
	looking.Go(func() {
		for {
			list := ids(watcher.State().Roster)
			if n := len(strings.Fields(list)); n != 0 && n != 50 {
				t.Errorf("%d pumps are in force: %s", n, list)
				return
			}
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	for _, x := range []struct {
		h *house
		f *roster.File
	}{{a, of("a")}, {b, of("b")}} {
		all.Go(func() {
			if err := x.h.ImportRoster(within(t), x.f); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	close(stop)
	looking.Wait()
	for _, h := range []*house{a, b} {
		if err := h.until(within(t), func(s *State) bool { return len(s.Roster.Pumps) == 50 && !s.bundle.pending() }); err != nil {
			t.Error(err, ids(h.State().Roster))
		}
	}
}
