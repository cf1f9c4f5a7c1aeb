package telemetry

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// clockTicks is the unit of times in /proc, 1/s. Linux shows 100 to every program,
// whatever the kernel counts in.
const clockTicks = 100

// processFamilies reads the figures of this process from /proc; what cannot be read
// is left out.
func processFamilies() []*family {
	list := []*family{
		single("process_start_time_seconds", "When the process started, in seconds since 1970.", kindGauge, "", constant(float64(started.UnixMilli())/1000)),
	}
	add := func(name, help string, k kind, v float64) {
		list = append(list, single(name, help, k, "", constant(v)))
	}
	if f := statFields(); len(f) > 21 {
		user, system := number(f[11])/clockTicks, number(f[12])/clockTicks
		add("process_cpu_seconds_total", "Processor time used, of user and system.", kindCounter, user+system)
		add("process_cpu_seconds_user_total", "Processor time used in the program.", kindCounter, user)
		add("process_cpu_seconds_system_total", "Processor time used in the kernel.", kindCounter, system)
		add("process_major_pagefaults_total", "Page faults that went to disk.", kindCounter, number(f[9]))
		add("process_num_threads", "Threads of the process.", kindGauge, number(f[17]))
		add("process_virtual_memory_bytes", "Virtual memory.", kindGauge, number(f[20]))
		add("process_resident_memory_bytes", "Resident memory.", kindGauge, number(f[21])*float64(os.Getpagesize()))
	}
	if n, err := openFiles(); err == nil {
		add("process_open_fds", "Open file descriptors.", kindGauge, float64(n))
	}
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		add("process_max_fds", "File descriptors the process may open.", kindGauge, float64(limit.Cur))
	}
	return list
}

// statFields returns the fields of /proc/self/stat behind the command's name, which
// may hold spaces: the first one is the state, field 3 of proc_pid_stat(5).
func statFields() []string {
	data, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return nil
	}
	text := string(data)
	return strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
}

func number(s string) float64 {
	v, _ := strconv.ParseFloat(s, 64)
	return v
}

// openFiles counts descriptors in steps, since a pump has tens of thousands.
func openFiles() (int, error) {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	n := -1 // dir itself
	for {
		names, err := dir.Readdirnames(1024)
		n += len(names)
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
	}
}
