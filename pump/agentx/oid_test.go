package agentx

import (
	"slices"
	"strings"
	"testing"
)

func TestParseOID(t *testing.T) {
	for text, want := range map[string]OID{
		"1.3.6.1":                              {1, 3, 6, 1},
		".1.3.6.1.4.1.0":                       {1, 3, 6, 1, 4, 1, 0},
		"2.999":                                {2, 999},
		"0.39":                                 {0, 39},
		"1.3.4294967295":                       {1, 3, 4294967295},
		"1." + strings.Repeat("1.", 126) + "1": slices.Repeat(OID{1}, 128),
	} {
		got, err := ParseOID(text)
		if err != nil || got.Compare(want) != 0 {
			t.Errorf("%s: %v, %v", text, got, err)
		}
		if got.String() != strings.TrimPrefix(text, ".") {
			t.Errorf("%s is written as %s", text, got)
		}
	}
	for _, text := range []string{
		"", ".", "1", "1.", "1..3", "..1.3", "3.1", "0.40", "1.3.4294967296", "1.3.-1", "1.3.+1", "1.03", "1.3.x", "1.3 .6",
		"1." + strings.Repeat("1.", 127) + "1",
	} {
		if got, err := ParseOID(text); err == nil {
			t.Errorf("%q is taken as %v", text, got)
		}
	}
}

// Longer identifiers come after their beginnings, and numbers count, not digits.
func TestOrderOfOIDs(t *testing.T) {
	ordered := []OID{nil, {1, 3}, {1, 3, 6}, {1, 3, 6, 1}, {1, 3, 9}, {1, 3, 10}, {1, 4}, {2}}
	for i, a := range ordered {
		for j, b := range ordered {
			if got := a.Compare(b); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%v against %v: %d", a, b, got)
			}
		}
	}
}
