package loadtest

import (
	"bytes"
	"os"
	"strconv"
)

// queueDrops is how many packets this machine has lost since it was started because the queue of a processor was full, which
// is where those wait that go from one program to another (net.core.netdev_max_backlog of them). 0 where it cannot be read.
func queueDrops() uint64 {
	b, err := os.ReadFile("/proc/net/softnet_stat")
	if err != nil {
		return 0
	}
	return sumDrops(b)
}

// sumDrops adds up the second column of /proc/net/softnet_stat, a line for each processor, all in hexadecimal.
func sumDrops(stat []byte) (sum uint64) {
	for line := range bytes.Lines(stat) {
		if fields := bytes.Fields(line); len(fields) > 1 {
			n, _ := strconv.ParseUint(string(fields[1]), 16, 64)
			sum += n
		}
	}
	return sum
}
