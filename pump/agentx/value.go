package agentx

import (
	"slices"
	"sort"
)

// Kind is the type of a value, as messages number them (RFC 2741, 5.4).
type Kind uint16

// The kinds that are used.
const (
	Integer        Kind = 2
	OctetString    Kind = 4
	Gauge32        Kind = 66
	TimeTicks      Kind = 67
	Counter64      Kind = 70
	noSuchObject   Kind = 128
	noSuchInstance Kind = 129
	endOfMIBView   Kind = 130
)

// maxText bounds an octet string, in bytes: what a SnmpAdminString may be long.
const maxText = 255

// Value is one value of a tree.
type Value struct {
	OID    OID
	Kind   Kind
	Number uint64 // of all kinds but OctetString
	Text   string // of OctetString
}

// Tree is the values of a subtree in ascending order of their identifiers, each once.
type Tree []Value

// Sort puts a tree in order.
func (t Tree) Sort() { slices.SortFunc(t, func(a, b Value) int { return a.OID.Compare(b.OID) }) }

// get returns the value with exactly that identifier, or one that says that there is none.
func (t Tree) get(oid OID) Value {
	i := sort.Search(len(t), func(i int) bool { return t[i].OID.Compare(oid) >= 0 })
	switch {
	case i < len(t) && t[i].OID.Compare(oid) == 0:
		return t[i]
	case t.hasObject(oid):
		return Value{OID: oid, Kind: noSuchInstance}
	}
	return Value{OID: oid, Kind: noSuchObject}
}

// hasObject tells whether there are values beside the one asked for: of the same scalar, or
// in the same column, whose identifiers differ in the last number.
func (t Tree) hasObject(oid OID) bool {
	if len(oid) == 0 {
		return false
	}
	column := oid[:len(oid)-1]
	i := sort.Search(len(t), func(i int) bool { return t[i].OID.Compare(column) >= 0 })
	return i < len(t) && t[i].OID.HasPrefix(column) && len(t[i].OID) == len(oid)
}

// span is what a master looks for the next value in.
type span struct {
	start   OID
	include bool // start itself counts
	end     OID  // not included; null: no end
}

// next returns the first value of the span, or the end of the view.
func (t Tree) next(s span) Value {
	i := sort.Search(len(t), func(i int) bool {
		c := t[i].OID.Compare(s.start)
		return c > 0 || c == 0 && s.include
	})
	if i == len(t) || len(s.end) > 0 && t[i].OID.Compare(s.end) >= 0 {
		return Value{OID: s.start, Kind: endOfMIBView}
	}
	return t[i]
}

// write appends the value as a variable binding.
func (v Value) write(w *writer) {
	w.uint16(uint16(v.Kind))
	w.uint16(0)
	w.oid(v.OID)
	switch v.Kind {
	case Integer, Gauge32, TimeTicks:
		w.uint32(uint32(v.Number))
	case Counter64:
		w.uint64(v.Number)
	case OctetString:
		w.octets(v.Text[:min(len(v.Text), maxText)])
	}
}
