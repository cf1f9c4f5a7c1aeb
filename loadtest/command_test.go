package loadtest

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestCommandLine(t *testing.T) {
	for _, tc := range []struct {
		name           string
		args           string
		status         int
		stdout, stderr string
	}{
		{"version", "version", 0, "loadtest v1.2 commit abc go", ""},
		{"help", "-h", 0, "loadtest -clients 5000\n", ""},
		{"help of push", "push -h", 0, "loadtest push -rate 1000000 http://", ""},
		{"unknown flag", "-colour red", 2, "", "-colour"},
		{"address without flag", "mmsh://h/x", 2, "", "-url"},
		{"no viewers", "-clients 0", 2, "", "-clients: must be above 0"},
		{"no share", "-slow 2", 2, "", "slow: 2 is no share"},
		{"no address", "-url ftp://h/x", 2, "", "neither mmsh"},
		{"all that is wrong at once", "-slow 2 -url ftp://h/x", 2, "", "neither mmsh"},
		{"no such scenario", "-scenario /nonexistent", 2, "", "nonexistent"},
		{"push nowhere", "push", 2, "", "one address"},
		{"push to nonsense", "push ftp://h", 2, "", "neither mmsh"},
		{"push with nonsense", "push -packet 5 http://h/x", 2, "", "packet: 5 bytes"},
		{"no such process", "-url mmsh://127.0.0.1:1/x -server-pid 999999999", 1, "", "process 999999999"},
		{"report into nowhere", "-json /nonexistent/r.json", 2, "", "-json: /nonexistent/r.json cannot be written, /nonexistent is no folder"},
		{"from another machine", "-url mmsh://127.0.0.1:1/x -from 192.0.2.1", 1, "", "192.0.2.1 is no address of this machine"},
		{"no such log level", "-log-level loud", 2, "", `log level "loud" is unknown`},
		{"no such log format", "-log-format xml", 2, "", `log format "xml" is unknown`},
		{"push without such a level", "push -log-level loud http://h/x", 2, "", `log level "loud" is unknown`},
		{"no such pump", "-pump /nonexistent", 1, "", "is no program"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			status := Main(strings.Fields(tc.args), &out, &errs, Build{Version: "v1.2", Commit: "abc"})
			if status != tc.status || !strings.Contains(out.String(), tc.stdout) || !strings.Contains(errs.String(), tc.stderr) {
				t.Errorf("status %d, want %d\nstdout: %s\nstderr: %s", status, tc.status, out.String(), errs.String())
			}
			if tc.status == 2 && strings.Count(errs.String(), "\n") > 4 {
				t.Errorf("a page of text for one mistake:\n%s", errs.String())
			}
		})
	}
}

func TestRunFromTheCommandLine(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	s.push(t, PushOptions{Rate: 500_000})
	dir := t.TempDir()
	jsonFile, page := filepath.Join(dir, "r.json"), filepath.Join(dir, "r.html")
	var out, errs bytes.Buffer
	status := Main([]string{"-clients", "5", "-ramp", "0", "-duration", "400ms", "-url", s.url(), "-json", jsonFile, "-html", page,
		"-server-pid", strconv.Itoa(os.Getpid())}, &out, &errs, Build{})
	if status != 0 || !strings.Contains(out.String(), "PASS") || !strings.Contains(errs.String(), "viewers") {
		t.Fatalf("status %d\n%s%s", status, out.String(), errs.String())
	}
	var rep Report
	if b, err := os.ReadFile(jsonFile); err != nil || json.Unmarshal(b, &rep) != nil || rep.Clients.AliveAtEnd != 5 {
		t.Errorf("JSON report: %v, %+v", err, rep.Clients)
	}
	if b, err := os.ReadFile(page); err != nil || !bytes.Contains(b, []byte("</html>")) {
		t.Errorf("HTML report: %v", err)
	}
	out.Reset()
	errs.Reset()
	if Main([]string{"-quiet", "-clients", "2", "-duration", "100ms", "-max-join", "1us", "-url", s.url()}, &out, &errs, Build{}) != 1 {
		t.Error("no join is as quick as that")
	}
	if out.Len()+errs.Len() > 0 {
		t.Errorf("-quiet, and yet %q %q", out.String(), errs.String())
	}
}

func TestAReportThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	var out, errs bytes.Buffer
	if Main([]string{"-clients", "1", "-duration", "10ms", "-url", "mmsh://" + l.Addr().String() + "/x", "-json", t.TempDir()},
		&out, &errs, Build{}) != 1 || !strings.Contains(errs.String(), "writing the report") {
		t.Errorf("said %s", errs.String())
	}
}

// Logs are lines of their own on standard error, JSON where that is no terminal, and begin at warnings unless asked for.
func TestLogsOfARun(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	s.push(t, PushOptions{Rate: 500_000})
	for _, tc := range []struct {
		name, flags string
		lines       []string // beginnings of messages
	}{
		{"as it is", "", nil},
		{"info, JSON", "-log-level info", []string{"phase begins", "over"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			args := append([]string{"-quiet", "-clients", "2", "-ramp", "0", "-duration", "300ms", "-max-join", "30s", "-url", s.url()}, strings.Fields(tc.flags)...)
			if status := Main(args, &out, &errs, Build{}); status != 0 {
				t.Fatalf("status %d: %s", status, errs.String())
			}
			var got []string
			for line := range strings.Lines(errs.String()) {
				var record struct{ Level, Msg string }
				if err := json.Unmarshal([]byte(line), &record); err != nil || record.Level != "INFO" {
					t.Errorf("%q is no record: %v", line, err)
				}
				got = append(got, record.Msg)
			}
			if !slices.Equal(got, tc.lines) {
				t.Errorf("logged %q, want %q", got, tc.lines)
			}
		})
	}
}

// What is wrong in a scenario is told as file:line:column, each on a line of its own, and nothing runs.
func TestAWrongScenarioIsWrongUsage(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "s.yaml")
	if err := os.WriteFile(file, []byte("rate: 5\nphases: [{clients: many}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	status := Main([]string{"-scenario", file}, &out, &errs, Build{})
	want := file + ":1:7: \"5\" cannot be (1000 to 1000000000 bit/s)\n" + file + ":2:20: \"many\" cannot be (0 to 1000000 viewers)\n"
	if status != exitUsage || errs.String() != want {
		t.Errorf("status %d:\n%swant\n%s", status, errs.String(), want)
	}
}
