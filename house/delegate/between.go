package delegate

import (
	"encoding/binary"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Bus carries words between houses, each at most once; a word may go to its sender too. [store.Bus] is one.
type Bus interface {
	Publish(subject string, data []byte) error
	Subscribe(pattern string, hear func(subject string, data []byte)) (stop func(), err error)
}

// subject is what houses tell each other under whom they sent where.
const subject = "assigned"

// A word is the sender's number, the word's number, which words of other houses were heard last, then entries: key of
// viewer and stream, hash of the pump, hash of the stream, and whether the viewer only asked, so that a place is kept for him.
const (
	entrySize  = 8 + 8 + 8 + 1
	heardSize  = 8 + 8
	headSize   = 8 + 8 + 1 // without what was heard
	maxPeers   = 16
	maxEntries = 2048 // of a word; what comes beyond that at once is not told
	maxWord    = headSize + maxPeers*heardSize + maxEntries*entrySize
	tellEvery  = 50 * time.Millisecond // a player's second request takes longer
	idleTells  = 5                     // a house that has nothing to tell is heard every so many times
	goneAfter  = time.Second           // a house that is not heard for so long is not there
)

// sharing is what seats know of other houses.
type sharing struct {
	houses atomic.Int64  // there are now, this one included
	number atomic.Uint64 // of the word that goes next
	heard  atomic.Uint64 // word that every other house has heard, and those before
}

// between tells other houses whom this one sent where, and hears them. It may lose words: then another house may send
// a viewer elsewhere at his second request, or a few too many to a pump.
type between struct {
	bus     Bus
	sender  uint64
	log     *slog.Logger
	sharing *sharing

	mu      sync.Mutex
	entries []byte // for the next word
	busy    int    // times that it is told at once
	quiet   int    // times that nothing was told
	lost    int64
	peers   map[uint64]*peer
	sent    []sentWord // not heard by everybody, or not long ago
}

// peer is another house.
type peer struct {
	at    time.Time // last heard
	word  uint64    // its last word
	heard uint64    // our last word that it has heard
}

type sentWord struct {
	number uint64
	at     time.Time
}

func newBetween(bus Bus, sender uint64, log *slog.Logger, s *sharing) *between {
	s.houses.Store(1)
	s.number.Store(1)
	return &between{bus: bus, sender: sender, log: log, sharing: s, entries: make([]byte, 0, maxEntries*entrySize), peers: map[uint64]*peer{}}
}

// add notes one viewer for the next word.
func (b *between) add(e entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.busy = 2
	if len(b.entries)+entrySize > maxEntries*entrySize {
		b.lost++
		return
	}
	for _, n := range [...]uint64{e.key, e.pump, e.stream} {
		b.entries = binary.BigEndian.AppendUint64(b.entries, n)
	}
	held := byte(0)
	if e.held {
		held = 1
	}
	b.entries = append(b.entries, held)
}

// tell sends what was noted, and now and then that this house is there. The word is made in spare, and comes back.
func (b *between) tell(spare []byte, now time.Time) []byte {
	b.mu.Lock()
	b.reckon(now)
	if b.busy == 0 && b.quiet < idleTells-1 {
		b.quiet++
		b.mu.Unlock()
		return spare
	}
	b.busy, b.quiet = max(b.busy-1, 0), 0
	word := b.word(spare, now)
	b.mu.Unlock()
	if err := b.bus.Publish(subject, word); err != nil {
		b.log.Debug("telling other houses of viewers", slog.Any("error", err))
	}
	return word
}

// word writes the next word. The caller holds b.mu.
func (b *between) word(spare []byte, now time.Time) []byte {
	number := b.sharing.number.Add(1) - 1
	b.sent = append(b.sent, sentWord{number, now})
	word := binary.BigEndian.AppendUint64(spare[:0], b.sender)
	word = binary.BigEndian.AppendUint64(word, number)
	word = append(word, byte(len(b.peers))) //nolint:gosec // at most maxPeers
	for sender, p := range b.peers {
		word = binary.BigEndian.AppendUint64(word, sender)
		word = binary.BigEndian.AppendUint64(word, p.word)
	}
	word = append(word, b.entries...)
	b.entries = b.entries[:0]
	return word
}

// reckon finds out who is there and what all of them have heard. Words that were sent long ago are not waited for: they are
// lost, or somebody hears nothing. The caller holds b.mu.
func (b *between) reckon(now time.Time) {
	heard := b.sharing.number.Load() - 1
	for sender, p := range b.peers {
		if now.Sub(p.at) > goneAfter {
			delete(b.peers, sender)
			continue
		}
		heard = min(heard, p.heard)
	}
	for len(b.sent) > 0 && (b.sent[0].number <= heard || now.Sub(b.sent[0].at) > goneAfter) {
		heard = max(heard, b.sent[0].number)
		b.sent = b.sent[1:]
	}
	b.sharing.houses.Store(int64(len(b.peers) + 1))
	if heard > b.sharing.heard.Load() {
		b.sharing.heard.Store(heard)
	}
}

// entry is one viewer that another house has sent somewhere.
type entry struct {
	key, pump, stream uint64
	held              bool
}

// read calls f for each entry of another house's word; what is no word is left alone.
func (b *between) read(word []byte, now time.Time, f func(entry)) {
	if len(word) < headSize || len(word) > maxWord {
		return
	}
	sender, number, peers := binary.BigEndian.Uint64(word), binary.BigEndian.Uint64(word[8:]), int(word[16])
	word = word[headSize:]
	if sender == b.sender || peers > maxPeers || len(word) < peers*heardSize || (len(word)-peers*heardSize)%entrySize != 0 {
		return
	}
	heard, word := word[:peers*heardSize], word[peers*heardSize:]
	// First the viewers: once they are confirmed they have to be counted.
	for rest := word; len(rest) >= entrySize; rest = rest[entrySize:] {
		f(entry{binary.BigEndian.Uint64(rest), binary.BigEndian.Uint64(rest[8:]), binary.BigEndian.Uint64(rest[16:]), rest[24] != 0})
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.peers[sender]
	if p == nil {
		if len(b.peers) >= maxPeers {
			return
		}
		p = &peer{}
		b.peers[sender] = p
	}
	p.at, p.word = now, number
	if len(word) > 0 {
		b.busy = max(b.busy, 2) // it waits to be told that it was heard
	}
	for ; len(heard) > 0; heard = heard[heardSize:] {
		if binary.BigEndian.Uint64(heard) == b.sender {
			p.heard = min(binary.BigEndian.Uint64(heard[8:]), b.sharing.number.Load()-1)
		}
	}
	b.reckon(now)
}
