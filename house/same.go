package house

import (
	"bytes"
	"slices"

	"github.com/stream-pump/stream-pump/house/live"
	"github.com/stream-pump/stream-pump/house/roster"
)

// sameRoster tells whether nothing has changed: an unchanged roster is not announced.
func sameRoster(a, b *roster.Roster) bool { return bytes.Equal(a.JSON(nil), b.JSON(nil)) }

func sameStreams(a, b []live.Stream) bool {
	return slices.EqualFunc(a, b, func(x, y live.Stream) bool {
		return x.Path == y.Path && x.Name == y.Name && x.Type == y.Type && x.Enabled == y.Enabled
	})
}
