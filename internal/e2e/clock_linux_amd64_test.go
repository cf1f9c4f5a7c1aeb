package e2e

import (
	"bufio"
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/access"
)

// wallClock is the wall clock of one process, which a test sets as it likes; nobody else's moves. Go reads the time
// without a system call, by the kernel's code that is mapped into each process. That code is replaced, in this process,
// by a system call that adds an offset to the wall clock and to no other.
type wallClock struct {
	mem    *os.File
	offset int64 // where in the process's memory it is, in seconds
}

// clockCode is clock_gettime(edi, rsi): the system call, and for clock 0, the wall clock, an addition to its seconds.
// The offset follows the code.
var clockCode = []byte{
	0xB8, 0xE4, 0x00, 0x00, 0x00, // mov eax, 228
	0x0F, 0x05, // syscall
	0x85, 0xFF, // test edi, edi
	0x75, 0x0A, // jnz done
	0x48, 0x8B, 0x0D, 0x04, 0x00, 0x00, 0x00, // mov rcx, [rip+4]
	0x48, 0x01, 0x0E, // add [rsi], rcx
	0xC3, // done: ret
}

// holdClock takes the wall clock of a running process into the test's hands. The process is stopped for a moment.
func holdClock(t *testing.T, pid int) *wallClock {
	t.Helper()
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		t.Skipf("the memory of a process is out of reach: %v", err)
	}
	t.Cleanup(func() { _ = mem.Close() })
	from, to := vdso(t, pid)
	image := make([]byte, to-from)
	if _, err := mem.ReadAt(image, int64(from)); err != nil {
		t.Skipf("the kernel's code in a process is out of reach: %v", err)
	}
	at := int64(from) + int64(clockSymbol(t, image))
	for stopped := false; !stopped; { // nobody may be inside of what is replaced
		_ = syscall.Kill(pid, syscall.SIGSTOP)
		if stopped = outside(pid, from, to); !stopped {
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
	if _, err := mem.WriteAt(append(bytes.Clone(clockCode), make([]byte, 8)...), at); err != nil {
		t.Skipf("the kernel's code in a process cannot be replaced: %v", err)
	}
	return &wallClock{mem: mem, offset: at + int64(len(clockCode))}
}

// vdso is where the kernel's code is in a process.
func vdso(t *testing.T, pid int) (from, to uint64) {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		if strings.HasSuffix(line, "[vdso]\n") {
			if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err != nil {
				t.Fatal(err)
			}
		}
	}
	if to == 0 {
		t.Skip("the kernel gives processes no code for reading the time")
	}
	return from, to
}

func clockSymbol(t *testing.T, image []byte) uint64 {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	symbols, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range symbols {
		if s.Name == "__vdso_clock_gettime" && s.Size >= uint64(len(clockCode)+8) {
			return s.Value
		}
	}
	t.Skip("the kernel's code for reading the time is not where it is expected")
	return 0
}

// outside tells whether all threads of a process stand still, and none of them there.
func outside(pid int, from, to uint64) bool {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	for _, task := range tasks {
		text, err := os.ReadFile(task + "/syscall")
		fields := strings.Fields(string(text))
		if err != nil || len(fields) == 0 || fields[0] == "running" {
			return false
		}
		var pc uint64
		if _, err := fmt.Sscanf(fields[len(fields)-1], "0x%x", &pc); err != nil || from <= pc && pc < to {
			return false
		}
	}
	return len(tasks) > 0
}

// set moves the clock to so far from the true time.
func (c *wallClock) set(t *testing.T, from time.Duration) {
	t.Helper()
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(int64(from/time.Second)))
	if _, err := c.mem.WriteAt(b[:], c.offset); err != nil {
		t.Fatal(err)
	}
}

// told is how far from the true time a pump believes to be, by its status page.
func (p *PumpProc) told(t *testing.T) time.Duration {
	t.Helper()
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/", p.AdminPort))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "as of ")
	text, _, _ := strings.Cut(rest, ",")
	at, err := time.Parse(time.RFC3339, html.UnescapeString(text))
	if err != nil {
		t.Fatal(err)
	}
	return time.Until(at).Round(time.Minute)
}

// challenge asks to push without credentials and gives what the pump wants.
func challenge(t *testing.T, p *PumpProc) []string {
	t.Helper()
	return tryPush(t, p, "").Header.Values("Www-Authenticate")
}

func tryPush(t *testing.T, p *PumpProc, authorization string) *http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", p.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(slack * 10 * time.Second))
	fmt.Fprintf(conn, "POST /streams/push_push HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-wms-pushsetup\r\nCookie: push-id=0\r\nContent-Length: 0\r\n%s\r\n", authorization)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp
}

// The machine's clock is put an hour ahead, two hours back, and right again. Nothing that waits for a length of time
// minds: streams, viewers, sessions, challenges, sources and the figures go on. Only what tells the time of day tells
// another one.
func TestClockJumps(t *testing.T) {
	if testing.Short() {
		t.Skip("runs programs; left out with -short")
	}
	above := Pump(t, "streams:\n  - {name: Card, type: test_card, path: card}")
	pump := Pump(t, fmt.Sprintf(`
stall: {timeout: 20s}
hold: 20s
streams:
  - {name: Card, type: test_card, path: card}
  - {name: Pull, type: mmsh_pull, path: pull, source_options: {url: '%s'}}
  - {name: Push, type: mmsh_push, path: push, publish: {user: jo, password: secret}}`, above.MMSH("card")))
	pump.WaitState(t, "card", "live", 10*time.Second)
	pump.WaitState(t, "pull", "live", 10*time.Second)
	clock := holdClock(t, pump.proc.cmd.Process.Pid)
	ends := []func() []rawFrame{onlooker(t, pump, "card"), onlooker(t, pump, "pull")}
	pump.waitPackets(t, "pull", 30)
	for _, off := range []time.Duration{time.Hour, -time.Hour, 0} {
		asked := challenge(t, pump)
		clock.set(t, off)
		if got := pump.told(t); got != off {
			t.Fatalf("the pump believes to be off by %v, not by %v: the clock was not set", got, off)
		}
		answer, err := access.Authorization(asked, http.MethodPost, "/streams/push_push", "jo", "secret")
		if err != nil {
			t.Fatal(err)
		}
		if resp := tryPush(t, pump, "Authorization: "+answer+"\r\n"); resp.StatusCode != http.StatusNoContent {
			t.Errorf("off by %v: the answer to a challenge of before: %s", off, resp.Status)
		}
		pump.waitPackets(t, "pull", 30)
		pump.unmoved(t)
		pump.checkFigures(t, off)
	}
	http.DefaultClient.CloseIdleConnections()
	for _, end := range ends {
		frames := end()
		checkUnbroken(t, frames)
		for i := range frames[1:] {
			if pause := frames[i+1].at - frames[i].at; pause > maxStall {
				t.Errorf("an onlooker waited %v for packet %d", pause, i+1)
			}
		}
	}
}

// checkFigures sees that lengths of time are what they are.
func (p *PumpProc) checkFigures(t *testing.T, off time.Duration) {
	t.Helper()
	for _, path := range []string{"card", "pull"} {
		var s struct {
			State   string
			Uptime  float64 `json:"uptime_s"`
			Bitrate float64 `json:"bitrate_bps"`
		}
		if p.get(t, "/api/v1/streams/"+path, &s); s.State != "live" || s.Uptime <= 0 || s.Uptime > 600 || s.Bitrate < 10_000 || s.Bitrate > 10_000_000 {
			t.Errorf("off by %v, %s: %+v", off, path, s)
		}
	}
	var viewers []struct {
		Connected float64 `json:"connected_s"`
		Lag       float64 `json:"lag_ms"`
	}
	p.get(t, "/api/v1/viewers", &viewers)
	if len(viewers) < 2 {
		t.Errorf("off by %v: %d viewers", off, len(viewers))
	}
	for _, v := range viewers {
		if v.Connected < 0 || v.Connected > 600 || v.Lag < 0 || v.Lag > 5000 {
			t.Errorf("off by %v: %+v", off, v)
		}
	}
}
