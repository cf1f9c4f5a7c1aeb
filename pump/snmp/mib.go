package snmp

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/stream-pump/stream-pump/pump/agentx"
)

// BaseOID is where the MIB begins unless it is configured otherwise: below
// netSnmpPlaypen, which Net-SNMP keeps for experiments.
const BaseOID = "1.3.6.1.4.1.8072.9999.9999.8086"

// fresh is how long figures are good for: a walk asks for each value by itself, and shall see
// one moment.
const fresh = time.Second

// maxText bounds a text in bytes, as SnmpAdminString does.
const maxText = 255

// MIB makes trees of figures. It belongs to one goroutine.
type MIB struct {
	base    agentx.OID
	collect func() Figures
	now     func() time.Time

	rows  map[string]uint32 // of the streams, by path
	next  uint32            // row number
	sent  map[string]sent   // by path, at the last look
	taken time.Time         // when tree was made
	tree  agentx.Tree
}

// sent is what the rate towards viewers is reckoned from.
type sent struct {
	bytes uint64
	at    time.Time
}

// New returns the MIB at an identifier. now nil means [time.Now].
func New(base agentx.OID, collect func() Figures, now func() time.Time) *MIB {
	if now == nil {
		now = time.Now
	}
	return &MIB{base: base, collect: collect, now: now, rows: map[string]uint32{}, next: 1, sent: map[string]sent{}}
}

// Tree returns the values, which are at most a second old.
func (m *MIB) Tree() agentx.Tree {
	now := m.now()
	if m.tree != nil && now.Sub(m.taken) < fresh {
		return m.tree
	}
	f := m.collect()
	m.number(f.Streams)
	b := builder{base: m.base}
	rateOut := m.streams(&b, f.Streams, now)
	b.scalars(f, rateOut)
	for i, l := range f.Loops {
		b.counter(uint64(max(l.Busy, 0).Microseconds()), 1, 5, 1, 2, uint32(i+1))
	}
	b.tree.Sort()
	m.tree, m.taken = b.tree, now
	return m.tree
}

// number gives new streams the next rows, in order of their paths, and forgets those that are
// gone.
func (m *MIB) number(streams []Stream) {
	slices.SortFunc(streams, func(a, b Stream) int { return strings.Compare(a.Path, b.Path) })
	here := map[string]bool{}
	for _, s := range streams {
		here[s.Path] = true
		if m.rows[s.Path] == 0 {
			m.rows[s.Path] = m.next
			m.next = max(m.next+1, 1)
		}
	}
	for path := range m.rows {
		if !here[path] {
			delete(m.rows, path)
			delete(m.sent, path)
		}
	}
}

// streams adds the tables of streams and returns the rate of all of them towards viewers, in
// bit/s.
func (m *MIB) streams(b *builder, streams []Stream, now time.Time) (rateOut uint64) {
	for _, s := range streams {
		row := m.rows[s.Path]
		out := m.rate(s, now)
		rateOut += out
		b.stream(s, out, row)
		for reason, number := range packetDropReasons {
			b.counter(s.PacketDrops[reason], 1, 3, 1, 2, row, number)
		}
		for reason, number := range viewerEndReasons {
			b.counter(s.ViewersEnded[reason], 1, 4, 1, 2, row, number)
		}
	}
	return rateOut
}

// rate returns the bit/s towards the viewers of a stream since the look before.
func (m *MIB) rate(s Stream, now time.Time) uint64 {
	was, known := m.sent[s.Path]
	m.sent[s.Path] = sent{s.BytesOut, now}
	over := now.Sub(was.at)
	if !known || s.BytesOut < was.bytes || over <= 0 {
		return 0
	}
	return uint64(float64(s.BytesOut-was.bytes) * 8 / over.Seconds())
}

// builder collects values under a base.
type builder struct {
	base agentx.OID
	tree agentx.Tree
}

func (b *builder) add(kind agentx.Kind, n uint64, text string, at []uint32) {
	b.tree = append(b.tree, agentx.Value{OID: b.base.With(at...), Kind: kind, Number: n, Text: text})
}

func (b *builder) counter(n uint64, at ...uint32) { b.add(agentx.Counter64, n, "", at) }
func (b *builder) integer(n uint64, at ...uint32) { b.add(agentx.Integer, n, "", at) }
func (b *builder) gauge(n uint64, at ...uint32) {
	b.add(agentx.Gauge32, min(n, math.MaxUint32), "", at)
}
func (b *builder) rate(bps uint64, at ...uint32) { b.gauge((bps+500)/1000, at...) }
func (b *builder) truth(yes bool, at ...uint32)  { b.integer(truth[yes], at...) }
func (b *builder) text(s string, at ...uint32)   { b.add(agentx.OctetString, 0, cut(s), at) }
func (b *builder) ticks(d time.Duration, at ...uint32) {
	b.add(agentx.TimeTicks, uint64(uint32(max(d, 0)/(10*time.Millisecond))), "", at)
}

// truth is TruthValue of SNMPv2-TC.
var truth = map[bool]uint64{true: 1, false: 2}

// cut makes a text valid UTF-8 of at most maxText bytes.
func cut(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxText)], "") }

func (b *builder) scalars(f Figures, rateOut uint64) {
	var t Stream // the totals
	var onAir uint64
	for _, s := range f.Streams {
		t.Viewers += s.Viewers
		t.ViewersTotal += s.ViewersTotal
		t.BytesIn += s.BytesIn
		t.BytesOut += s.BytesOut
		t.RateIn += s.RateIn
		t.Skipped += s.Skipped
		t.Reconnects += s.Reconnects
		if s.Delivering {
			onAir++
		}
	}
	b.text(f.Version, 1, 1, 1, 0)
	b.ticks(f.Uptime, 1, 1, 2, 0)
	b.truth(f.Draining, 1, 1, 3, 0)
	b.gauge(uint64(len(f.Streams)), 1, 1, 4, 0)
	b.gauge(onAir, 1, 1, 5, 0)
	b.gauge(t.Viewers, 1, 1, 6, 0)
	b.counter(t.ViewersTotal, 1, 1, 7, 0)
	b.gauge(f.Connections, 1, 1, 8, 0)
	b.rate(t.RateIn, 1, 1, 9, 0)
	b.rate(rateOut, 1, 1, 10, 0)
	b.counter(t.BytesIn, 1, 1, 11, 0)
	b.counter(t.BytesOut, 1, 1, 12, 0)
	b.counter(t.Skipped, 1, 1, 13, 0)
	b.counter(t.Reconnects, 1, 1, 14, 0)
	b.counter(f.Panics, 1, 1, 15, 0)
}

func (b *builder) stream(s Stream, rateOut uint64, row uint32) {
	column := func(n uint32) []uint32 { return []uint32{1, 2, 1, n, row} }
	b.text(s.Path, column(2)...)
	b.text(s.Name, column(3)...)
	b.integer(streamStates[s.State], column(4)...)
	b.truth(s.Delivering, column(5)...)
	b.text(s.Source, column(6)...)
	b.ticks(s.Uptime, column(7)...)
	b.gauge(s.Viewers, column(8)...)
	b.counter(s.ViewersTotal, column(9)...)
	b.rate(s.RateIn, column(10)...)
	b.rate(rateOut, column(11)...)
	b.counter(s.BytesIn, column(12)...)
	b.counter(s.BytesOut, column(13)...)
	b.counter(s.PacketsIn, column(14)...)
	b.counter(s.Skipped, column(15)...)
	b.counter(s.Reconnects, column(16)...)
}
