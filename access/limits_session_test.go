package access

import (
	"errors"
	"net/netip"
	"testing"
	"time"
)

// An address has its time from the first of its viewers on, whoever of them comes and goes, until none is left. Whoever
// comes when that is over is refused; other addresses and pumps are not concerned.
func TestSessionOfAnAddress(t *testing.T) {
	l := NewLimits(Bounds{SessionAddress: time.Minute})
	var now int64
	l.now = func() int64 { return now }
	admit := func(addr string, pump bool) (*Ticket, error) {
		return l.Admit(Request{Stream: "x", Addr: netip.MustParseAddr(addr), Pump: pump})
	}
	must := func(addr string, pump bool) *Ticket {
		t.Helper()
		ticket, err := admit(addr, pump)
		if err != nil {
			t.Fatal(err)
		}
		return ticket
	}
	pump := must("192.0.2.1", true)
	now += int64(30 * time.Second)
	first := must("192.0.2.1", false)
	now += int64(40 * time.Second)
	second := must("192.0.2.1", false)
	first.Release()
	if got := second.AddressWatched(); got != 40*time.Second || pump.AddressWatched() != 0 {
		t.Errorf("the address has watched for %v, the pump for %v; want 40s and 0", got, pump.AddressWatched())
	}
	if u := l.BusiestAddresses(0); u.Session != 40*time.Second {
		t.Errorf("the busiest address: %v", u.Session)
	}
	now += int64(20*time.Second) + 1
	if _, err := admit("192.0.2.1", false); !errors.Is(err, &LimitError{Limit: LimitAddressSession}) || err.Error() != "limit session_per_address reached: 60" {
		t.Errorf("beyond its time: %v", err)
	}
	must("192.0.2.2", false)
	must("192.0.2.1", true)
	second.Release()
	if got := must("192.0.2.1", false).AddressWatched(); got != 0 {
		t.Errorf("after a pause the address begins with %v", got)
	}
}

// What a bucket lacks of being full is what is taken of it.
func TestWhatABucketIsUsed(t *testing.T) {
	var b Bucket
	if b.Used(0) != 0 {
		t.Error("one without a bound is used")
	}
	b.SetRate(8000) // 1,000 bytes/s, 250 of them held
	now := int64(10 * time.Second)
	if got := b.Used(now); got != 0 {
		t.Errorf("a full one: %d", got)
	}
	b.Spend(125)
	if got := b.Used(now); got != 4000 {
		t.Errorf("one that is half empty: %d bit/s, want 4000", got)
	}
	b.Spend(375)
	if got := b.Used(now); got != 16000 {
		t.Errorf("one in debt: %d bit/s, want 16000", got)
	}
	if got := b.Used(now + int64(time.Second)); got != 0 {
		t.Errorf("one that has filled again: %d", got)
	}
}
