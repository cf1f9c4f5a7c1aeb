package access

import "net/netip"

// Connection is the place of one open connection. Release it when it is closed.
type Connection struct {
	limits   *Limits
	address  netip.Prefix
	pump     bool // it counts among those of pumps
	heading  bool // its head is unfinished and counted; guarded by Limits.mu
	released bool // guarded by Limits.mu
}

// Connect reserves a place for an open connection from addr, whose first request is awaited
// from now on, or returns a *[LimitError]. Those from networks that pumps are in have places of
// their own, and no rate.
func (l *Limits) Connect(addr netip.Addr) (*Connection, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.sweep(now)
	c := &Connection{limits: l, address: customer(addr)}
	c.pump = l.bounds.Pumps.Networks.Len() > 0 && l.bounds.Pumps.Networks.Contains(addr)
	err := l.checkConnection(c, now)
	if err == nil {
		err = l.checkAddress(c, now)
	}
	if err != nil {
		l.refused[err.Limit]++
		return nil, err
	}
	if c.pump {
		l.openPumps++
	} else if l.open++; l.bounds.ConnectionsPerSecond > 0 {
		l.arrivals.add(now)
	}
	l.connectAddress(c, 1, now)
	if !c.pump {
		l.begun(c)
	}
	return c, nil
}

// checkConnection returns the first limit of all connections together that one more would
// pass. The caller holds l.mu.
func (l *Limits) checkConnection(c *Connection, now int64) *LimitError {
	b := &l.bounds
	switch most := b.Pumps.connections(); {
	case c.pump && l.openPumps >= most:
		return &LimitError{Limit: LimitConnections, Max: int64(most)}
	case c.pump:
		return nil
	case reached(l.open, b.Connections):
		return &LimitError{Limit: LimitConnections, Max: int64(b.Connections)}
	case b.ConnectionsPerSecond > 0 && l.arrivals.full(now, b.ConnectionsPerSecond):
		return &LimitError{Limit: LimitConnectionRate, Max: int64(b.ConnectionsPerSecond)}
	}
	return l.checkHeads()
}

// checkAddress returns the first limit of its address that a connection would pass. The
// caller holds l.mu.
func (l *Limits) checkAddress(c *Connection, now int64) *LimitError {
	b, a := &l.bounds, l.addresses[c.address]
	switch {
	case c.address.IsValid() && a == nil && len(l.addresses) >= maxAddresses:
		return &LimitError{Limit: LimitAddresses, Max: maxAddresses}
	case c.pump || a == nil:
		return nil
	case reached(a.connections, b.ConnectionsPerAddress):
		return &LimitError{Limit: LimitAddressConnections, Max: int64(b.ConnectionsPerAddress)}
	case b.ConnectionsPerSecondAddress > 0 && a.arrivals.full(now, b.ConnectionsPerSecondAddress):
		return &LimitError{Limit: LimitAddressConnectionRate, Max: int64(b.ConnectionsPerSecondAddress)}
	}
	return l.checkHeadsOf(a)
}

// connectAddress adds n to the connections of the connection's address, if it has one.
func (l *Limits) connectAddress(c *Connection, n int, now int64) {
	if !c.address.IsValid() {
		return
	}
	a := l.address(c.address)
	a.connections += n
	if n > 0 && !c.pump && l.bounds.ConnectionsPerSecondAddress > 0 {
		a.arrivals.add(now)
	}
	l.forget(c.address)
}

// Introduce tells who is at the other end of a connection that counted towards no address,
// as when a proxy has said it. It returns the *[LimitError] of what that address has too
// much of; the place is then still to be released.
func (c *Connection) Introduce(addr netip.Addr) error {
	l := c.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.released || c.address.IsValid() || !addr.IsValid() {
		return nil
	}
	now := l.now()
	known := &Connection{limits: l, address: customer(addr), pump: c.pump}
	if err := l.checkAddress(known, now); err != nil {
		l.refused[err.Limit]++
		return err
	}
	c.address = known.address
	l.connectAddress(c, 1, now)
	if c.heading {
		l.address(c.address).heads++
	}
	return nil
}

// Release gives the place back. Further calls, and a nil Connection, do nothing.
func (c *Connection) Release() {
	if c == nil {
		return
	}
	c.limits.mu.Lock()
	defer c.limits.mu.Unlock()
	if !c.released {
		c.released = true
		c.headed()
		if c.pump {
			c.limits.openPumps--
		} else {
			c.limits.open--
		}
		c.limits.connectAddress(c, -1, 0)
	}
}
