package tool

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Finding is one thing that a doctor looked at.
type Finding struct {
	Name string `json:"name"`
	Has  string `json:"has"`
	Want string `json:"want"`
	Fine bool   `json:"fine"`
	Nice bool   `json:"nice,omitempty"` // not fine, but it works
	Cure string `json:"cure,omitempty"` // what to do when it is not fine
}

// Checkup is a machine compared with a plan.
type Checkup struct {
	Plan     Plan      `json:"plan"`
	Findings []Finding `json:"findings"`
}

// Healthy tells whether the load fits the machine.
func (c Checkup) Healthy() bool {
	for _, f := range c.Findings {
		if !f.Fine && !f.Nice {
			return false
		}
	}
	return true
}

// Examine compares this machine with a plan. proc is where /proc is mounted.
func Examine(p Plan, proc string) Checkup {
	c := Checkup{Plan: p}
	c.Findings = append(c.Findings, openFiles(p), memory(p, proc))
	for _, s := range p.Settings {
		if f, there := s.examine(proc); there {
			c.Findings = append(c.Findings, f)
		}
	}
	if f, there := dropped(p, proc); there {
		c.Findings = append(c.Findings, f)
	}
	return c
}

func openFiles(p Plan) Finding {
	f := Finding{Name: "open files", Want: strconv.FormatInt(p.OpenFiles, 10),
		Cure: "raise the hard limit: LimitNOFILE= in the systemd unit, or /etc/security/limits.conf"}
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		f.Has = err.Error()
		return f
	}
	f.Has = strconv.FormatUint(uint64(l.Max), 10)
	f.Fine = uint64(l.Max) >= uint64(p.OpenFiles)
	return f
}

// memory compares with what is available now, the kernel's worst case included.
func memory(p Plan, proc string) Finding {
	want := p.Memory + p.KernelWorst
	f := Finding{Name: "memory", Want: bytesText(want), Cure: "more memory, or limits.viewers in the configuration"}
	b, err := os.ReadFile(filepath.Join(proc, "meminfo"))
	if err != nil {
		f.Has = err.Error()
		return f
	}
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "MemAvailable:" {
			continue
		}
		kib, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			break
		}
		f.Has, f.Fine = bytesText(kib<<10), kib<<10 >= want
		return f
	}
	f.Has = "unknown"
	return f
}

// dropped tells whether packets from one program of this machine to another were lost since it was started, because the
// queue of a processor was full; there is false when that cannot be seen.
func dropped(p Plan, proc string) (f Finding, there bool) {
	b, err := os.ReadFile(filepath.Join(proc, "net", "softnet_stat"))
	if err != nil {
		return f, false
	}
	var sum uint64
	for line := range strings.Lines(string(b)) {
		if fields := strings.Fields(line); len(fields) > 1 {
			n, err := strconv.ParseUint(fields[1], 16, 64) // the second column
			if err != nil {
				return f, false
			}
			sum += n
		}
	}
	return Finding{Name: "packets lost in full queues", Has: strconv.FormatUint(sum, 10), Want: "0", Fine: sum == 0, Nice: true,
		Cure: fmt.Sprintf("if it grows (second column of /proc/net/softnet_stat): sysctl -w net.core.netdev_max_backlog=%d", 2*max(p.queue(), queueDefault))}, true
}

// examine compares one kernel setting; there is false when the kernel lacks an optional
// one.
func (s Setting) examine(proc string) (f Finding, there bool) {
	want := strconv.FormatInt(s.Want, 10)
	f = Finding{Name: s.Name, Want: want, Nice: s.Nice, Cure: s.cure()}
	b, err := os.ReadFile(filepath.Join(proc, "sys", strings.ReplaceAll(s.Name, ".", "/")))
	if err != nil {
		f.Has = "unknown"
		f.Nice = true // what cannot be seen may be fine: containers hide much of it
		return f, !s.Optional
	}
	fields := strings.Fields(string(b))
	if s.Field >= len(fields) {
		f.Has = strings.TrimSpace(string(b))
		return f, true
	}
	f.Has = fields[s.Field]
	has, err := strconv.ParseInt(f.Has, 10, 64)
	if err != nil { // fs.file-max may exceed an int64
		f.Fine = len(f.Has) >= len("9223372036854775807")
		return f, true
	}
	f.Fine = has >= s.Want
	if s.Exact {
		f.Fine = has == s.Want
	}
	return f, true
}

func (s Setting) cure() string {
	if s.Field > 0 {
		return fmt.Sprintf("sysctl -w %s='…' with %d as number %d", s.Name, s.Want, s.Field+1)
	}
	return fmt.Sprintf("sysctl -w %s=%d", s.Name, s.Want)
}

// String is the checkup for people.
func (c Checkup) String() string {
	var b strings.Builder
	p := c.Plan
	fmt.Fprintf(&b, "This machine (%d processors), for %d viewers of %d stream(s) of %s:\n\n", runtime.NumCPU(), p.Viewers, p.Streams, bits(p.Bitrate))
	for _, f := range c.Findings {
		mark := "ok"
		switch {
		case f.Fine:
		case f.Nice:
			mark = "hm"
		default:
			mark = "BAD"
		}
		fmt.Fprintf(&b, "  %-4s %-32s has %-20s wants %s\n", mark, f.Name, f.Has, f.Want)
		if !f.Fine {
			fmt.Fprintf(&b, "       → %s\n", f.Cure)
		}
	}
	fmt.Fprintf(&b, "\n  the link must carry %s towards viewers; that cannot be seen from here\n", bits(p.BandwidthOut))
	return b.String()
}
