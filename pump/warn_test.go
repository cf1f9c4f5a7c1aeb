package pump

import (
	"strings"
	"testing"
)

const nothingToServe = "no stream is configured and enabled"

func TestAPumpWithNothingToServeSaysSo(t *testing.T) {
	w := newWorld(t, "streams: []\n")
	w.eventually("it says so", func() bool { return strings.Contains(w.log.String(), nothingToServe) })
}
