package access

import "fmt"

// Limit names one bound of [Bounds].
type Limit string

// The limits, as errors, the API and metrics name them. The set is closed.
const (
	LimitViewers               Limit = "viewers"
	LimitAddressViewers        Limit = "viewers_per_address"
	LimitBandwidth             Limit = "bandwidth"
	LimitAddressBandwidth      Limit = "bandwidth_per_address"
	LimitAddressSession        Limit = "session_per_address"
	LimitConnections           Limit = "connections"
	LimitAddressConnections    Limit = "connections_per_address"
	LimitConnectionRate        Limit = "connections_per_second"
	LimitAddressConnectionRate Limit = "connections_per_second_per_address"
	LimitHeads                 Limit = "unfinished_heads"
	LimitAddressHeads          Limit = "unfinished_heads_per_address"
	LimitStreamViewers         Limit = "stream_viewers"
	LimitStreamBandwidth       Limit = "stream_bandwidth"
	LimitStreamRate            Limit = "stream_viewers_per_second"
	LimitPumps                 Limit = "pumps"
	LimitAddressPumps          Limit = "pumps_per_address"
	LimitPumpBandwidth         Limit = "pumps_bandwidth"
	LimitStreamPumps           Limit = "stream_pumps"
	LimitBurst                 Limit = "burst_bandwidth"
	LimitAddressBurst          Limit = "burst_bandwidth_per_address"
	LimitStreamBurst           Limit = "stream_burst_bandwidth"
	LimitUplink                Limit = "uplink"
	LimitFiles                 Limit = "open_files"
	LimitAddresses             Limit = "addresses" // of the table of addresses itself
)

// EveryLimit lists the limits in the order of the documentation.
func EveryLimit() []Limit {
	return []Limit{
		LimitViewers, LimitAddressViewers, LimitBandwidth, LimitAddressBandwidth, LimitAddressSession, LimitConnections, LimitAddressConnections,
		LimitConnectionRate, LimitAddressConnectionRate, LimitHeads, LimitAddressHeads, LimitStreamViewers, LimitStreamBandwidth, LimitStreamRate,
		LimitPumps, LimitAddressPumps, LimitPumpBandwidth, LimitStreamPumps, LimitBurst, LimitAddressBurst, LimitStreamBurst, LimitUplink, LimitFiles, LimitAddresses,
	}
}

// LimitError says which limit somebody met.
type LimitError struct {
	Limit  Limit
	Stream string // empty unless the limit is the stream's
	Max    int64  // viewers, bit/s, …
}

// Error names the limit and its value.
func (e *LimitError) Error() string {
	if e.Stream != "" {
		return fmt.Sprintf("limit %s of stream %s reached: %d", e.Limit, e.Stream, e.Max)
	}
	return fmt.Sprintf("limit %s reached: %d", e.Limit, e.Max)
}

// Is makes errors.Is(err, &LimitError{Limit: x}) true for any maximum and stream,
// and errors.Is(err, &LimitError{}) for any limit.
func (e *LimitError) Is(target error) bool {
	t, ok := target.(*LimitError)
	return ok && (t.Limit == "" || t.Limit == e.Limit)
}
