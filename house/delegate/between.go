package delegate

import (
	"encoding/binary"
	"log/slog"
	"sync"
	"time"
)

// Bus carries words between houses, each at most once; a word may go to its sender too. [store.Bus] is one.
type Bus interface {
	Publish(subject string, data []byte) error
	Subscribe(pattern string, hear func(subject string, data []byte)) (stop func(), err error)
}

// subject is what houses tell each other under whom they sent where.
const subject = "assigned"

// A word is the sender's number, then entries: key of viewer and stream, hash of the pump, hash of the stream, and
// whether the viewer only asked, so that a place is kept for him.
const (
	entrySize  = 8 + 8 + 8 + 1
	maxEntries = 2048 // of a word; what comes beyond that at once is not told
	maxWord    = 8 + maxEntries*entrySize
	tellEvery  = 50 * time.Millisecond // a player's second request takes longer
)

// between tells other houses whom this one sent where, and hears them. It may lose words: then another house may send
// a viewer elsewhere at his second request, or a few too many to a pump.
type between struct {
	bus    Bus
	sender uint64
	log    *slog.Logger

	mu   sync.Mutex
	word []byte
	lost int64
}

func newBetween(bus Bus, sender uint64, log *slog.Logger) *between {
	b := &between{bus: bus, sender: sender, log: log}
	b.word = b.empty(make([]byte, 0, maxWord))
	return b
}

func (b *between) empty(word []byte) []byte { return binary.BigEndian.AppendUint64(word[:0], b.sender) }

// add notes one viewer for the next word.
func (b *between) add(e entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.word)+entrySize > maxWord {
		b.lost++
		return
	}
	for _, n := range [...]uint64{e.key, e.pump, e.stream} {
		b.word = binary.BigEndian.AppendUint64(b.word, n)
	}
	held := byte(0)
	if e.held {
		held = 1
	}
	b.word = append(b.word, held)
}

// tell sends what was noted. spare is used for the next word; what comes back is spare again.
func (b *between) tell(spare []byte) []byte {
	b.mu.Lock()
	word := b.word
	if len(word) <= 8 {
		b.mu.Unlock()
		return spare
	}
	b.word = b.empty(spare)
	b.mu.Unlock()
	if err := b.bus.Publish(subject, word); err != nil {
		b.log.Debug("telling other houses of viewers", slog.Any("error", err))
	}
	return word
}

// entry is one viewer that another house has sent somewhere.
type entry struct {
	key, pump, stream uint64
	held              bool
}

// read calls f for each entry of another house's word; what is no word is left alone.
func (b *between) read(word []byte, f func(entry)) {
	if len(word) < 8 || binary.BigEndian.Uint64(word) == b.sender || len(word) > maxWord {
		return
	}
	for word = word[8:]; len(word) >= entrySize; word = word[entrySize:] {
		f(entry{binary.BigEndian.Uint64(word), binary.BigEndian.Uint64(word[8:]), binary.BigEndian.Uint64(word[16:]), word[24] != 0})
	}
}
