package stream

// Intake is a source that can be read without waiting. Its goroutine lends it, and then the passes over the stream's
// viewers take in what has come: that saves waking the goroutine for packets that nobody looks at before the pass.
type Intake interface {
	// Draw publishes what has come. It waits for nothing. Where another draws at this moment it does nothing and
	// reports false: what that one publishes is not there yet. It is called from event loops, often.
	Draw() bool
	// Reclaim asks for the source back, because nobody is going to draw any more. It must not block. Any goroutine.
	Reclaim()
}

// Drawer is a Waker whose passes begin with Stream.Draw, and that makes another pass after each in which something was
// lent.
type Drawer interface {
	Waker
	Draws()
}

// Lend has the passes over the viewers draw from in, beginning with one that is due from now on, until Unlend. It
// reports false, having done nothing, when there are no viewers, or some whose passes do not draw. To be called by the
// holder of the role, who publishes nothing meanwhile but through in.
func (p *Publisher) Lend(in Intake) bool {
	s := p.s
	s.intake.Store(&in)
	if !s.drawn.Load() { // who changes that looks for an intake afterwards
		s.intake.Store(nil)
		return false
	}
	s.wake()
	return true
}

// Unlend undoes Lend. A Draw that has begun may still be on its way.
func (p *Publisher) Unlend() { p.s.intake.Store(nil) }

// Drawn tells whether an intake could be lent: there are viewers, and all of their passes draw.
func (s *Stream) Drawn() bool { return s.drawn.Load() }

// Lent tells whether the source is lent.
func (s *Stream) Lent() bool { return s.intake.Load() != nil }

// Draw has the source publish what has come, if it is lent. It takes no lock, waits for nothing and allocates nothing.
// It reports false when another draws at this moment, see [Intake].
func (s *Stream) Draw() bool {
	in := s.intake.Load()
	return in == nil || (*in).Draw()
}

// allDraw tells whether every waker draws, and there is one.
func allDraw(list []Waker) bool {
	for _, w := range list {
		if _, ok := w.(Drawer); !ok {
			return false
		}
	}
	return len(list) > 0
}
