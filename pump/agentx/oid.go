package agentx

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxSubIDs bounds an object identifier (RFC 2578, 3.5).
const maxSubIDs = 128

// OID is an object identifier. The zero value is the null one.
type OID []uint32

// ParseOID reads 1.3.6.1.4.1, with or without a leading dot.
func ParseOID(s string) (OID, error) {
	parts := strings.Split(strings.TrimPrefix(s, "."), ".")
	if len(parts) < 2 || len(parts) > maxSubIDs {
		return nil, fmt.Errorf("%q is no object identifier: it has other than 2 to %d numbers", s, maxSubIDs)
	}
	oid := make(OID, 0, len(parts))
	for _, p := range parts {
		n, err := strconv.ParseUint(p, 10, 32)
		if err != nil || p != strconv.FormatUint(n, 10) {
			return nil, fmt.Errorf("%q is no object identifier: %q is no number from 0 to 4294967295", s, p)
		}
		oid = append(oid, uint32(n))
	}
	if oid[0] > 2 || oid[0] < 2 && oid[1] > 39 {
		return nil, fmt.Errorf("%q is no object identifier: it begins with 0, 1 or 2, and below the first two a number up to 39 follows", s)
	}
	return oid, nil
}

// String writes the numbers with dots between.
func (o OID) String() string {
	parts := make([]string, len(o))
	for i, n := range o {
		parts[i] = strconv.FormatUint(uint64(n), 10)
	}
	return strings.Join(parts, ".")
}

// Compare orders identifiers as SNMP walks them.
func (o OID) Compare(p OID) int { return slices.Compare(o, p) }

// With returns the identifier with more numbers behind it.
func (o OID) With(more ...uint32) OID { return slices.Concat(o, more) }

// HasPrefix tells whether o is p or below it.
func (o OID) HasPrefix(p OID) bool { return len(o) >= len(p) && slices.Equal(o[:len(p)], p) }

// internet is the prefix that messages abbreviate.
var internet = OID{1, 3, 6, 1}

var errOID = errors.New("an object identifier is longer than 128 numbers")
