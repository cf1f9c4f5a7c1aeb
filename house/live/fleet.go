package live

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/stream-pump/stream-pump/house/roster"
)

// How long a house takes to find a silent pump dead, unless it is told otherwise.
const (
	DeadAfter  = 3 * time.Second
	SweepEvery = 200 * time.Millisecond // how often [Fleet.Sweep] is to be called
)

// Options tune a [Fleet]; zero fields take the defaults.
type Options struct {
	DeadAfter time.Duration    // silent for so long, a pump is dead; default 3 s
	LostAfter time.Duration    // dead for so long, its viewers have left; default ten times DeadAfter
	Gone      int              // viewers remembered after they have left; default 10000
	Recent    int              // happenings remembered; default 1000
	Now       func() time.Time // default time.Now
}

// Fleet is the whole fleet as this house sees it. Methods may be called from any goroutine.
type Fleet struct {
	opts  Options
	view  atomic.Pointer[View]
	bell  bell
	crowd crowd

	mu sync.Mutex // changes of the view, one after the other
}

// View is the fleet's make-up at one moment. It and its slices are not changed.
type View struct {
	Revision uint64 // grows with every change
	Roster   *roster.Roster
	Streams  []Stream
	Pumps    []*Pump // in the order of the roster
	Houses   []*Pump // within the houses, as [Fleet.AddHouse] says

	byID     map[string]*Pump
	byStream map[string]int // lower-case path → place in Streams
}

// Stream is one stream that the house gives to its pumps.
type Stream struct {
	Path    string // as written
	Key     string // lower case: what is compared
	Name    string
	Type    string // of the original source
	Enabled bool
}

// New returns a fleet without pumps.
func New(o Options) *Fleet {
	if o.DeadAfter <= 0 {
		o.DeadAfter = DeadAfter
	}
	if o.LostAfter <= 0 {
		o.LostAfter = 10 * o.DeadAfter
	}
	if o.Gone <= 0 {
		o.Gone = 10_000
	}
	if o.Recent <= 0 {
		o.Recent = 1000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	f := &Fleet{opts: o}
	f.bell.keep = o.Recent
	f.crowd.init(o.Gone)
	f.view.Store(&View{Roster: &roster.Roster{}, byID: map[string]*Pump{}, byStream: map[string]int{}})
	return f
}

// View returns the fleet as it is made up now.
func (f *Fleet) View() *View { return f.view.Load() }

// Pump returns the pump with this id, of the roster or within a house; nil if there is none.
func (v *View) Pump(id string) *Pump { return v.byID[id] }

// Stream returns the stream at a path; case does not count.
func (v *View) Stream(key string) (Stream, bool) {
	i, ok := v.byStream[key]
	if !ok {
		return Stream{}, false
	}
	return v.Streams[i], true
}
