package server

// Audience is told who comes and goes. Its methods are called once a viewer, on his event
// loop or goroutine: they must not block. Left comes behind the Joined of the same viewer.
type Audience interface {
	Joined(v Viewer) // without figures
	Left(v Viewer)   // with the last figures, and the reason
}

// tellJoined tells the audience's keeper of a viewer who is there from now on.
func (s *Server) tellJoined(t *seat) {
	if s.opts.Audience != nil {
		s.opts.Audience.Joined(t.describe())
	}
}

func (s *Server) tellLeft(v Viewer) {
	if s.opts.Audience != nil {
		s.opts.Audience.Left(v)
	}
}
