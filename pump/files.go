package pump

import (
	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/config"
)

// What is kept of the descriptors for everything that is no connection of a viewer or an
// encoder: listeners, event loops and their rings, clients that are being turned away, the
// operators' port, sources and their names, certificates and films that are read again.
const (
	keptFiles          = 80 + adminMost
	keptFilesForStream = 4
)

// connections is how many connections there may be at once, so that descriptors are left for
// the rest of the pump when a crowd comes; 0 when that is not known. limits.connections may
// be less, and is not touched by it.
func (f openFiles) connections(cfg *config.Config) int {
	if f.err != nil || f.most == 0 {
		return 0
	}
	most := int(min(f.most, 1<<30))
	kept := keptFiles + keptFilesForStream*len(cfg.Streams)
	if pumps := cfg.Limits.Pumps; len(pumps.Networks) > 0 { // they have places of their own
		kept += 4*pumps.Count + 8
	}
	return max(most-kept, most/2)
}

// bounds are the limits of a configuration, within what descriptors allow.
func (p *Pump) bounds(cfg *config.Config) access.Bounds {
	b := boundsOf(cfg)
	if allowed := p.files.connections(cfg); allowed > 0 && (b.Connections == 0 || allowed < b.Connections) {
		b.Connections = allowed
	}
	if b.HeadsPerAddress == 0 && b.Connections > 0 {
		b.HeadsPerAddress = max(b.Connections/2, leastHeads)
	}
	return b
}

// leastHeads is how many unfinished heads an address may have in any case, unless the
// configuration says less: so many viewers behind one address may come at once, with TLS.
const leastHeads = 100
