package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// awake keeps the processors from sleeping until stop is called: one that has nothing to
// do polls for work (power management's quality of service, a latency of 0). A processor
// that has slept begins with a slow clock and cold caches, on a virtual machine also with
// a return from the hypervisor, and whoever wakes it waits for that; few viewers leave
// processors much time to sleep, many none, so that without this a table of growth shows
// the machine's sleep and not what a viewer costs.
//
// Source: Documentation/power/pm_qos_interface.rst of Linux.
func awake() (stop func(), err error) {
	f, err := os.OpenFile("/dev/cpu_dma_latency", os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("keeping the processors awake: %w", err)
	}
	stop = func() { _ = f.Close() } // the request ends with the descriptor
	if _, err := f.Write([]byte{0, 0, 0, 0}); err != nil {
		stop()
		return nil, fmt.Errorf("keeping the processors awake: %w", err)
	}
	before := polled()
	time.Sleep(300 * time.Millisecond)
	if polled() == before {
		stop()
		return nil, errors.New("keeping the processors awake: this kernel's idle driver does not poll (no time in /sys/devices/system/cpu/cpu*/cpuidle/state0)")
	}
	return stop, nil
}

// polled is for how long all processors have polled for work, in µs.
func polled() (sum uint64) {
	files, _ := filepath.Glob("/sys/devices/system/cpu/cpu*/cpuidle/state0/time")
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		n, _ := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
		sum += n
	}
	return sum
}
