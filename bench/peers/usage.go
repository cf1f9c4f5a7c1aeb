//go:build linux

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// usage is what a server, with all processes of its sessions, had used at some moment.
type usage struct {
	at      time.Time
	cpu     time.Duration            // user and system
	rss     int64                    // bytes
	threads map[string]time.Duration // by thread
	busy    time.Duration            // of the machine, all processors
	steal   time.Duration            // taken by the machine's host
}

// clockTick is the unit of /proc's times; Linux fixes it at a hundredth of a second.
const clockTick = 10 * time.Millisecond

// usageOf reads the figures of all processes of the servers.
func usageOf(servers children) (usage, error) {
	sessions := map[string]bool{}
	for _, k := range servers {
		sessions[strconv.Itoa(k.pid())] = true
	}
	u := usage{at: time.Now(), threads: map[string]time.Duration{}}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return u, err
	}
	for _, dir := range dirs {
		f, err := statFields(filepath.Join(dir, "stat"))
		if err != nil || !sessions[f[statSession]] {
			continue // it has ended, or is somebody else's
		}
		u.cpu += ticks(f[statUser]) + ticks(f[statSystem])
		u.rss += int64(atoi(f[statRSS])) * int64(os.Getpagesize())
		tasks, _ := filepath.Glob(filepath.Join(dir, "task", "*", "stat"))
		for _, task := range tasks {
			if f, err := statFields(task); err == nil {
				u.threads[task] = ticks(f[statUser]) + ticks(f[statSystem])
			}
		}
	}
	if len(u.threads) == 0 {
		return u, errors.New("the server has no process any more")
	}
	u.busy, u.steal, err = machineTime()
	return u, err
}

// Fields of /proc/PID/stat behind the command's name.
const (
	statSession = 3
	statUser    = 11
	statSystem  = 12
	statRSS     = 21
)

func statFields(file string) ([]string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	// The name is in brackets and may hold anything.
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) <= statRSS {
		return nil, fmt.Errorf("%s has %d fields", file, len(f))
	}
	return f, nil
}

func atoi(s string) uint64 { n, _ := strconv.ParseUint(s, 10, 64); return n }

func ticks(s string) time.Duration { return time.Duration(atoi(s)) * clockTick }

// machineTime is for how long the machine's processors were busy, and stolen.
func machineTime() (busy, steal time.Duration, err error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	f := strings.Fields(line)
	if len(f) < 9 {
		return 0, 0, fmt.Errorf("/proc/stat has %d fields", len(f))
	}
	for i, s := range f[1:9] {
		const idle, ioWait, stolen = 3, 4, 7
		switch i {
		case idle, ioWait:
		case stolen:
			steal += ticks(s)
		default:
			busy += ticks(s)
		}
	}
	return busy, steal, nil
}

// hottest is the share of the time between two readings that the busiest thread ran.
func hottest(from, to usage) float64 {
	var most time.Duration
	for name, t := range to.threads {
		most = max(most, t-from.threads[name])
	}
	return most.Seconds() / to.at.Sub(from.at).Seconds()
}

// describeMachine says where a table comes from, without a name.
func describeMachine() string {
	model := "unknown processor"
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	var u unix.Utsname
	_ = unix.Uname(&u)
	return fmt.Sprintf("%d × %s, Linux %s", processors(), model, unix.ByteSliceToString(u.Release[:]))
}
