package access

// window lets at most so many through within any second: exactly, not on the average.
// The zero value is ready; it is not safe for concurrent use.
type window struct {
	times []int64 // ns, ascending: who came, those of the last second from index past on
	past  int
}

const second = int64(1e9)

// full tells whether one more at now would be more than most within a second.
func (w *window) full(now int64, most int) bool {
	for w.past < len(w.times) && now-w.times[w.past] >= second {
		w.past++
	}
	if w.past > len(w.times)/2 {
		w.times = w.times[:copy(w.times, w.times[w.past:])]
		w.past = 0
	}
	return len(w.times)-w.past >= most
}

// add notes one at now. Asking full before each keeps the memory within the bound.
func (w *window) add(now int64) { w.times = append(w.times, now) }

// used returns how many came within the second before now.
func (w *window) used(now int64) int {
	w.full(now, 0)
	return len(w.times) - w.past
}
