package tool

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPlan(t *testing.T) {
	p := MakePlan(Load{Viewers: 5000, Bitrate: 1_000_000})
	if p.Streams != 1 {
		t.Errorf("planned for %d streams, want 1 when nothing is said", p.Streams)
	}
	if p.BandwidthOut < 5_000_000_000 || p.BandwidthOut > 5_500_000_000 {
		t.Errorf("5,000 viewers of 1 Mbit/s take %d bit/s, want a little above 5 Gbit/s", p.BandwidthOut)
	}
	if p.OpenFiles <= 5000 {
		t.Errorf("%d open files for 5,000 viewers", p.OpenFiles)
	}
	twice := MakePlan(Load{Viewers: 10_000, Bitrate: 1_000_000})
	if twice.Memory-p.Memory != 5000*perViewer {
		t.Errorf("5,000 more viewers take %d bytes more, want %d", twice.Memory-p.Memory, 5000*perViewer)
	}
	for _, want := range []string{"5000 viewers", "5.20 Gbit/s", "net.core.somaxconn", "5064"} {
		if !strings.Contains(p.String(), want) {
			t.Errorf("the plan does not say %q:\n%s", want, p)
		}
	}
}

// fakeProc makes a /proc with generous settings, some of them replaced.
func fakeProc(t *testing.T, p Plan, replace map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, content string) {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("meminfo", "MemTotal: 64000000 kB\nMemAvailable: 63000000 kB\n")
	for _, s := range p.Settings {
		value := "999999999 999999999 999999999\n"
		if s.Exact {
			value = "0\n"
		}
		if r, ok := replace[s.Name]; ok {
			value = r
		}
		if value != "" {
			write("sys/"+strings.ReplaceAll(s.Name, ".", "/"), value)
		}
	}
	return dir
}

func TestDoctor(t *testing.T) {
	p := MakePlan(Load{Viewers: 10, Bitrate: 300_000})
	for _, c := range []struct {
		name    string
		replace map[string]string
		healthy bool
		says    string
	}{
		{"all is well", nil, true, "ok   net.core.somaxconn"},
		{"a setting is too low", map[string]string{"net.core.somaxconn": "16\n"}, false, "sysctl -w net.core.somaxconn=128"},
		{"the third number is too low", map[string]string{"net.ipv4.tcp_mem": "1 2 3\n"}, false, "as number 3"},
		{"io_uring is forbidden", map[string]string{"kernel.io_uring_disabled": "2\n"}, true, "hm   kernel.io_uring_disabled"},
		{"an old kernel without io_uring", map[string]string{"kernel.io_uring_disabled": ""}, true, "ok   net.core.somaxconn"},
		{"a setting that is hidden", map[string]string{"net.core.wmem_max": ""}, true, "unknown"},
		{"a number beyond 64 bits", map[string]string{"fs.file-max": "9223372036854775807999\n"}, true, "ok   fs.file-max"},
		{"a setting that is no number", map[string]string{"fs.nr_open": "many\n"}, false, "BAD  fs.nr_open"},
		{"a setting that is empty", map[string]string{"fs.nr_open": "\n"}, false, "BAD  fs.nr_open"},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkup := Examine(p, fakeProc(t, p, c.replace))
			if checkup.Healthy() != c.healthy || !strings.Contains(checkup.String(), c.says) {
				t.Errorf("healthy %v, want %v, saying %q:\n%s", checkup.Healthy(), c.healthy, c.says, checkup)
			}
		})
	}
}

func TestDoctorSeesLostPackets(t *testing.T) {
	p := MakePlan(Load{Viewers: 10})
	dir := fakeProc(t, p, nil)
	for _, c := range []struct{ name, content, says string }{
		{"some were lost, on either processor", "0000ffff 00000010 00000000\n0000ffff 00000001 00000000\n", "hm   packets lost in full queues      has 17"},
		{"none were lost", "0000ffff 00000000 00000000\n", "ok   packets lost in full queues"},
		{"the kernel writes something else", "many more\n", ""},
	} {
		if err := os.MkdirAll(filepath.Join(dir, "net"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "net", "softnet_stat"), []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		checkup := Examine(p, dir)
		if text := checkup.String(); !checkup.Healthy() || !strings.Contains(text, c.says) || c.says == "" && strings.Contains(text, "packets lost") {
			t.Errorf("%s: healthy %v, want so, saying %q:\n%s", c.name, checkup.Healthy(), c.says, text)
		}
	}
}

func TestDoctorMissesMemory(t *testing.T) {
	p := MakePlan(Load{Viewers: 10})
	dir := fakeProc(t, p, nil)
	for content, says := range map[string]string{
		"MemAvailable: 1000 kB\n": "has 1 MiB",
		"MemAvailable: lots kB\n": "has unknown",
		"":                        "has unknown",
	} {
		if err := os.WriteFile(filepath.Join(dir, "meminfo"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		checkup := Examine(p, dir)
		if checkup.Healthy() || !strings.Contains(checkup.String(), says) {
			t.Errorf("with meminfo %q: healthy %v, want not, saying %q:\n%s", content, checkup.Healthy(), says, checkup)
		}
	}
}
