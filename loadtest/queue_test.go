package loadtest

import "testing"

func TestDropsOfQueues(t *testing.T) {
	for _, tc := range []struct {
		name, stat string
		want       uint64
	}{
		{"two processors", "082fd4df 00003af1 00000001 00000000\n082f8bd7 000066db 00000001 00000000\n", 0x3af1 + 0x66db},
		{"none were lost", "00000010 00000000 00000001\n", 0},
		{"a line cut short", "00000010\n", 0},
		{"no number", "1 two 3\n", 0},
		{"nothing", "", 0},
	} {
		if got := sumDrops([]byte(tc.stat)); got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
		}
	}
}
