package access

// A head is unfinished from the moment that a connection comes until the first request on it
// is whole, TLS and a PROXY header included, and again from each answer to the next request. Connections of pumps that have places of their own are not counted: there are few
// of them anyway.

// Headed tells that a request's head is whole, or that nobody waits for it any more. Further
// calls, and a nil Connection, do nothing.
func (c *Connection) Headed() {
	if c == nil {
		return
	}
	c.limits.mu.Lock()
	defer c.limits.mu.Unlock()
	c.headed()
}

// headed is Headed for who holds the mutex of the limits.
func (c *Connection) headed() {
	if !c.heading {
		return
	}
	c.heading = false
	c.limits.heads--
	if a := c.limits.addresses[c.address]; a != nil {
		a.heads--
	}
}

// Heading tells that another request is awaited on a connection whose last one was whole, or
// returns the *[LimitError] of too many of which one is. A nil Connection counts nowhere.
func (c *Connection) Heading() error {
	if c == nil {
		return nil
	}
	l := c.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.released || c.heading || c.pump {
		return nil
	}
	err := l.checkHeads()
	if err == nil {
		err = l.checkHeadsOf(l.addresses[c.address])
	}
	if err != nil {
		l.refused[err.Limit]++
		return err
	}
	l.begun(c)
	return nil
}

// begun counts an unfinished head of a connection. The caller holds l.mu.
func (l *Limits) begun(c *Connection) {
	c.heading = true
	l.heads++
	if a := l.addresses[c.address]; a != nil {
		a.heads++
	}
}

// checkHeads returns the limit that one more unfinished head would pass. The caller holds
// l.mu.
func (l *Limits) checkHeads() *LimitError {
	if most := l.bounds.Heads; reached(l.heads, most) {
		return &LimitError{Limit: LimitHeads, Max: int64(most)}
	}
	return nil
}

// checkHeadsOf is checkHeads for the limit of one address, nil for none.
func (l *Limits) checkHeadsOf(a *addressUse) *LimitError {
	if most := l.bounds.HeadsPerAddress; a != nil && reached(a.heads, most) {
		return &LimitError{Limit: LimitAddressHeads, Max: int64(most)}
	}
	return nil
}
