package ingest

import "time"

// Bounds of a rest.
const (
	restEarly = 20 * time.Millisecond // before it is time, so that what has come is published by then
	restLeast = 5 * time.Millisecond
	restMost  = time.Second
	restBytes = 64 << 10 // may gather in the socket meanwhile
)

// rest lets packets gather in the socket as long as nobody would look at them: until
// shortly before the next pass over the stream's viewers. On a busy machine the one who
// rests may be woken some milliseconds late, and what misses the pass waits for another
// pulse; hence not too shortly. To be woken for a packet costs
// many times what reading it does, and a pump of a hundred streams does little else. It
// delays nothing, for what is read now would wait for that pass in the ring instead. To
// be called before reading, by the goroutine that does.
func (f *Feed) rest() {
	if f.mode != flowing {
		return // places are found by when packets come
	}
	s := f.opts.Stream
	wait := min(s.Unseen()-restEarly, restMost)
	if rate := s.Bitrate(); rate > 0 {
		wait = min(wait, time.Duration(restBytes*8/rate*float64(time.Second)))
	}
	if wait >= restLeast {
		time.Sleep(wait)
	}
}
