package simulate

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1"))
}

// A small fleet, whole: nobody is lost, no pump is overrun, a parent's death is repaired.
func TestASmallFleet(t *testing.T) {
	o := Options{Pumps: 40, Viewers: 6000, Rate: 3000, HTTPPumps: 20, HTTPViewers: 0.2, Burst: 1000, Interval: time.Second, Dir: t.TempDir()}
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Failures() {
		t.Error(f)
	}
	if r.Watching+r.Refused < 5500 || r.HTTPViewers < 1000 || r.BurstCame < 250 || r.Orphans != 8 || r.Repair <= 0 || r.Networks != 402 {
		t.Errorf("%+v", r)
	}
	var b bytes.Buffer
	if err := r.Write(&b); err != nil || !strings.Contains(b.String(), "over-assigned") {
		t.Errorf("%v\n%s", err, b.String())
	}
	t.Log("\n" + b.String())
}

func TestOptionsAreChecked(t *testing.T) {
	good := Options{Pumps: 5, Viewers: 1, Interval: time.Second, Dir: os.DevNull}
	for name, change := range map[string]func(*Options){
		"too few pumps":          func(o *Options) { o.Pumps = 4 },
		"too many pumps":         func(o *Options) { o.Pumps = 5001 },
		"no viewers":             func(o *Options) { o.Viewers = 0 },
		"more pumps over HTTP":   func(o *Options) { o.HTTPPumps = 6 },
		"a share of more":        func(o *Options) { o.HTTPViewers = 1.5 },
		"a rate below nothing":   func(o *Options) { o.Rate = -1 },
		"an interval of nothing": func(o *Options) { o.Interval = 0 },
	} {
		o := good
		change(&o)
		if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "-") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
