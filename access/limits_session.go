package access

import "time"

// begin notes since when the ticket's address has had viewers. The ticket's is counted
// already. The caller holds l.mu.
func (l *Limits) begin(t *Ticket) {
	if t.pump || !t.address.IsValid() {
		return
	}
	a := l.address(t.address)
	if a.viewers == 1 {
		a.since = l.now()
	}
	t.began = a.since
}

// SessionAddress returns how long there may be viewers of one address without a pause, 0 for
// as long as they like.
func (l *Limits) SessionAddress() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bounds.SessionAddress
}

// AddressWatched returns for how long the address has had viewers without a pause, this one
// among them; 0 for a pump, and for one that counts towards no address. No lock is taken.
func (t *Ticket) AddressWatched() time.Duration {
	if t == nil || t.pump || !t.address.IsValid() {
		return 0
	}
	return time.Duration(t.limits.now() - t.began)
}
