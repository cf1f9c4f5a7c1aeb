package loadtest

import (
	"bytes"
	"time"

	"github.com/stream-pump/stream-pump/mmsh"
)

// proof is a run of packets, as they stand in a body, that one viewer has checked byte for byte. All viewers of a stream
// get the same bytes, so one comparison with the proof does for as many packets as came together. Nothing is taken on
// trust: bytes that are equal are right, and those that are not are looked at packet by packet.
//
// Each loop has one for each address. It is extended by whoever is ahead and forgets its oldest packets.
type proof struct {
	kind     bodyKind
	header   *streamHeader
	stamped  bool
	host     uint32
	source   uint32
	first    uint64 // number of the first packet
	location uint32 // of the first packet, where packets are framed
	ends     []int32
	due      []int64 // ns, by the source's schedule, where there are stamps
	bytes    []byte
	most     int   // bytes
	at       int64 // ns, extended last
}

const (
	proofsTogether = 32 << 20  // bytes, all addresses of a loop
	proofLeast     = 32 << 10  // bytes of one
	proofMost      = 256 << 10 // bytes of one
	proofStale     = int64(time.Second)
)

func newProofs(targets int) []proof {
	list := make([]proof, targets)
	for i := range list {
		list[i].most = min(max(proofsTogether/targets, proofLeast), proofMost)
	}
	return list
}

// next is the number of the packet that would extend it.
func (p *proof) next() uint64 { return p.first + uint64(len(p.ends)) }

// start is where packet i begins in its bytes.
func (p *proof) start(i int) int {
	if i == 0 {
		return 0
	}
	return int(p.ends[i-1])
}

// goesOn says whether the packet that r has just checked follows the last one.
func (p *proof) goesOn(r *reader) bool {
	return r.seg.last == p.next() && r.kind == p.kind && r.header == p.header && r.stamped == p.stamped &&
		r.sourceNow() == p.source && (r.kind == plainBody || r.location == p.location+uint32(len(p.ends)))
}

// forget drops packets from the front until so many bytes are free.
func (p *proof) forget(room int) {
	i := 0
	for i < len(p.ends) && len(p.bytes)-p.start(i)+room > p.most {
		i++
	}
	if i == len(p.ends) {
		p.ends, p.due, p.bytes = p.ends[:0], p.due[:0], p.bytes[:0]
		p.first += uint64(i)
		p.location += uint32(i)
		return
	}
	from := p.start(i)
	p.bytes = p.bytes[:copy(p.bytes, p.bytes[from:])]
	p.due = p.due[:copy(p.due, p.due[i:])]
	p.ends = p.ends[:copy(p.ends, p.ends[i:])]
	for k := range p.ends {
		p.ends[k] -= int32(from)
	}
	p.first += uint64(i)
	p.location += uint32(i)
}

// prove adds a packet that has just been checked and found right. A packet from elsewhere in the stream begins the
// proof anew when it is further on, or when nobody extended the proof for a while.
func (r *reader) prove(packet []byte, at int64) {
	p := &r.t.proofs[r.target]
	if r.what != mmsh.TypeData || r.spoilt || !r.seg.any || len(packet) > p.most {
		return
	}
	if !p.goesOn(r) {
		if ahead := r.sourceNow() == p.source && r.seg.last > p.next(); !ahead && at-p.at < proofStale && len(p.ends) > 0 {
			return
		}
		r.t.countRun()
		*p = proof{kind: r.kind, header: r.header, stamped: r.stamped, host: r.st.host, source: r.sourceNow(), first: r.seg.last,
			location: r.location, ends: p.ends[:0], due: p.due[:0], bytes: p.bytes[:0], most: p.most}
	}
	if len(p.bytes)+len(packet) > p.most {
		r.t.countRun()
		p.forget(max(len(packet), p.most/2))
	}
	p.bytes = append(p.bytes, packet...)
	p.ends = append(p.ends, int32(len(p.bytes)))
	p.due = append(p.due, r.st.published)
	p.at = at
}

// skim passes over the whole packets at the beginning of b that are the same as proven ones and come next for this
// viewer. It returns how many bytes they take: 0 when the packets have to be looked at.
func (r *reader) skim(b []byte, at int64) int {
	p := &r.t.proofs[r.target]
	skip := r.seg.last + 1 - p.first
	if !r.started || !r.seg.any || skip >= uint64(len(p.ends)) || r.kind != p.kind || r.header != p.header ||
		r.stamped != p.stamped || r.seg.source != p.source || r.sourceNow() != p.source ||
		r.kind == framedBody && (r.changed || r.location+1 != p.location+uint32(skip)) {
		return 0
	}
	from, to := int(skip), len(p.ends)
	start := p.start(from)
	for to > from && int(p.ends[to-1])-start > len(b) {
		to--
	}
	if to == from {
		return 0
	}
	size := int(p.ends[to-1]) - start
	if !bytes.Equal(b[:size], p.bytes[start:start+size]) {
		return 0
	}
	r.skimmed(p, from, to, at)
	r.place += int64(size)
	return size
}

// skimmed counts packets from to to of a proof, as if they had been looked at one by one.
func (r *reader) skimmed(p *proof, from, to int, at int64) {
	n := uint64(to - from)
	r.what, r.size, r.data = mmsh.TypeData, 0, true
	r.location += uint32(n)
	r.base += n
	r.seg.last += n
	r.seg.received += n
	r.number = r.seg.last
	r.t.packets.Add(n)
	r.t.newest[r.target].reach(p.source, r.seg.last)
	switch {
	case !r.stamped || r.quiet || p.host != hostMark:
	case p.due[from] < r.opened:
		for _, due := range p.due[from:to] {
			r.t.age(due, r.opened, at, 1)
		}
	default:
		r.t.together(p, from, to, at)
	}
}

// together is packets of a proof that viewers received at the same time, whose ages are counted in one go.
type together struct {
	p        *proof
	from, to int
	at       int64 // ns
	viewers  int64
}

// sameTime is what counts as the same time, in ns; ages are rounded up to it.
const sameTime = int64(100 * time.Microsecond)

// together notes that a viewer received packets from to to of a proof.
func (t *tally) together(p *proof, from, to int, at int64) {
	at = (at + sameTime - 1) / sameTime * sameTime
	if g := &t.run; g.viewers == 0 || g.p != p || g.from != from || g.to != to || g.at != at {
		t.countRun()
		t.run = together{p: p, from: from, to: to, at: at}
	}
	t.run.viewers++
}

// countRun counts the ages that are still to be counted. It must be called before the proof loses packets, and before
// the window or its histogram is used.
func (t *tally) countRun() {
	g := t.run
	t.run.viewers = 0
	if g.viewers == 0 {
		return
	}
	for _, due := range g.p.due[g.from:g.to] {
		t.age(due, due, g.at, g.viewers)
	}
}
