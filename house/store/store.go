package store

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// What the methods return, wrapped with what was being done.
var (
	ErrNotFound    = errors.New("there is none")
	ErrChanged     = errors.New("somebody else has changed it meanwhile")
	ErrHeld        = errors.New("somebody else holds it")
	ErrFull        = errors.New("the disk is full")
	ErrUnavailable = errors.New("the store does not answer")
	ErrKey         = errors.New("not a key: words of letters, digits, _, - and =, with dots between, at most 256 bytes")
	ErrTooLarge    = fmt.Errorf("longer than %d bytes", MaxValue)
)

// Bounds.
const (
	MaxValue = 512 << 10 // bytes of a value
	maxKey   = 256       // bytes
)

// Revisions that [Store.Put] takes beside those it returned.
const (
	Absent uint64 = 0         // only if there is no such key
	Any    uint64 = 1<<64 - 1 // whatever is there
)

// Entry is one key with its value.
type Entry struct {
	Key      string
	Value    []byte // not changed by anybody
	Revision uint64 // grows with every change of any key
}

// Change is what a [Watch] yields.
type Change struct {
	Entry
	Deleted bool
	Whole   bool // no entry: everything that was there at the beginning has been yielded
}

// Watch yields the entries that are there, then a Change that is Whole, then what changes,
// in order. Of several changes of one key in quick succession earlier ones may be left
// out. After a break of the connection it goes on where it was. C is closed when the
// watch ends: by its context or with the store.
type Watch struct {
	C <-chan Change
}

// Store is where the fleet is kept. Methods may be called from any goroutine; those that
// take a context wait for the network or the disk.
type Store interface {
	// Get returns an entry, or ErrNotFound.
	Get(ctx context.Context, key string) (Entry, error)

	// Put writes a value if the entry has this revision still, or ErrChanged. It returns the
	// new revision.
	Put(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)

	// Delete removes an entry if it has this revision still, or ErrChanged; Any deletes what
	// is there, or nothing.
	Delete(ctx context.Context, key string, revision uint64) error

	// Watch yields all keys that begin with prefix, which is empty or ends with a dot.
	Watch(ctx context.Context, prefix string) (*Watch, error)

	// Acquire takes a lease, or returns ErrHeld. It ends [LeaseFor] after it was taken or
	// renewed.
	Acquire(ctx context.Context, name string, value []byte) (Lease, error)

	// Leases returns those that are held, by name.
	Leases(ctx context.Context) (map[string][]byte, error)

	// Bus returns what carries words between houses.
	Bus() Bus

	// Health returns nil, or why changes are not taken now.
	Health() error

	// Close ends everything: watches, subscriptions, the server within.
	Close() error
}

// LeaseFor is how long a lease holds without being renewed.
const LeaseFor = 5 * time.Second

// Lease is something only one house has at a time.
type Lease interface {
	// Renew makes it hold for [LeaseFor] from now; ErrHeld if it has ended meanwhile.
	Renew(ctx context.Context) error

	// Release lets others have it at once.
	Release(ctx context.Context) error
}

// Bus carries words between houses, each at most once: whoever is not there does not hear
// them. A word goes to its sender too, if that listens.
type Bus interface {
	// Publish sends a word. It does not wait for anybody to hear it.
	Publish(subject string, data []byte) error

	// Subscribe calls hear for every word, one after the other, on a goroutine of its own. A *
	// in the pattern stands for one word between dots, > at the end for all that follows.
	// hear must not keep data.
	Subscribe(pattern string, hear func(subject string, data []byte)) (stop func(), err error)

	// Serve answers requests for a subject; nil answers nothing.
	Serve(subject string, answer func(data []byte) []byte) (stop func(), err error)

	// Request asks, and returns the first answer: ErrNotFound if nobody serves the subject.
	Request(ctx context.Context, subject string, data []byte) ([]byte, error)

	// Connected tells whether words go anywhere.
	Connected() bool
}

var keyForm = regexp.MustCompile(`^[A-Za-z0-9_=-]+(\.[A-Za-z0-9_=-]+)*$`)

func checkKey(key string) error {
	if len(key) > maxKey || !keyForm.MatchString(key) {
		return fmt.Errorf("%q: %w", key[:min(len(key), maxKey)], ErrKey)
	}
	return nil
}

func checkPut(key string, value []byte) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if len(value) > MaxValue {
		return fmt.Errorf("%s: %w", key, ErrTooLarge)
	}
	return nil
}
