package loadtest

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stream-pump/stream-pump/telemetry"
)

// settings are what the command line of a run says.
type settings struct {
	o        Options
	json     string
	html     string
	scenario string
	quiet    bool
	log      telemetry.LogOptions
}

const runUsage = `loadtest puts synthetic viewers on an MMSH server and says how it did.

Usage:
  loadtest [flags]            without -url: start a pump and a synthetic source, and measure those
  loadtest push [flags] URL   be an encoder: push a synthetic stream (loadtest push -h)
  loadtest version

Examples:
  loadtest -clients 5000
  loadtest -clients 500 -url mmsh://127.0.0.1:8086/streams/x -duration 60s -ramp 200 -json report.json -html report.html

Exit status: 0 passed, 1 failed or inconclusive, 2 wrong usage.

Flags:
`

// stringList is a flag that may repeat.
type stringList []string

func (l *stringList) String() string     { return strings.Join(*l, ",") }
func (l *stringList) Set(s string) error { *l = append(*l, s); return nil }

// logFlags are those of every program here. A load test says what it does on standard error anyway, so its log begins at
// warnings.
func logFlags(fs *flag.FlagSet, o *telemetry.LogOptions) {
	fs.StringVar(&o.Format, "log-format", telemetry.FormatAuto, "`format` of the log: auto, text or json")
	fs.StringVar(&o.Level, "log-level", "warn", "least `level` that is logged: debug, info, warn or error")
}

// parseFlags parses, and prints the usage to help when that is what was asked for.
func parseFlags(fs *flag.FlagSet, args []string, usage string, help io.Writer) error {
	fs.SetOutput(io.Discard)
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(help, usage)
		fs.SetOutput(help)
		fs.PrintDefaults()
	}
	return err
}

// parseRun reads the command line of a run.
func parseRun(args []string, help io.Writer) (settings, error) {
	var s settings
	o := &s.o
	fs := flag.NewFlagSet("loadtest", flag.ContinueOnError)
	fs.IntVar(&o.Clients, "clients", 100, "viewers")
	fs.Var((*stringList)(&o.URLs), "url", "stream `address` (mmsh://, http:// or https://); may repeat, viewers take them in turn")
	fs.DurationVar(&o.Duration, "duration", 20*time.Second, "steady state, after the ramp")
	fs.Float64Var(&o.Ramp, "ramp", -1, "new viewers a second, 0 for all at once, -1 for a tenth of them but 50 to 1000")
	fs.IntVar(&o.Rate, "rate", 300_000, "`bit/s` of the synthetic source")
	fs.IntVar(&o.Packet, "packet", 1400, "`bytes` of the synthetic source's packets")
	fs.DurationVar(&o.KeyInterval, "key-interval", 2*time.Second, "time between the synthetic source's key frames")
	fs.Float64Var(&o.Slow, "slow", 0, "`share` of viewers that stop reading")
	fs.IntVar(&o.SlowBPS, "slow-bps", 0, "`bit/s` at which the slow share reads instead (without -slow: all viewers)")
	fs.Float64Var(&o.Churn, "churn", 0, "viewers a second that leave and come back")
	fs.StringVar(&o.ID, "id", "", "`prefix` of the viewers' ids, sent as ?id= and in User-Agent")
	fs.StringVar(&o.Proxy, "proxy", "", "HTTP proxy `address`")
	fs.IntVar(&o.ServerPID, "server-pid", 0, "process whose CPU and memory are the server's")
	fs.StringVar(&s.json, "json", "", "write the report as JSON to `file` (- is standard output)")
	fs.StringVar(&s.html, "html", "", "write the report as one HTML page to `file`")
	fs.StringVar(&s.scenario, "scenario", "", "YAML `file` of phases, in place of -clients, -duration, -ramp and -churn")
	fs.Float64Var(&o.MinDelivery, "min-delivery", 0.999, "fail when a viewer got a smaller `share` of the packets")
	fs.DurationVar(&o.MaxJoin, "max-join", 2*time.Second, "fail when a viewer waited longer for its first key frame")
	fs.DurationVar(&o.JoinTimeout, "join-timeout", 10*time.Second, "a viewer without a key frame by then has failed")
	fs.BoolVar(&s.quiet, "quiet", false, "no progress, no report on standard output: files and exit status only")
	fs.BoolVar(&o.Plain, "plain", false, "viewers that ask for plain ASF (PATH.asf)")
	fs.BoolVar(&o.WMP, "wmp", false, "viewers that do as Windows Media Player: Describe, KeepAlive, Play, Log")
	fs.BoolVar(&o.Reconnect, "reconnect", false, "viewers come back when the stream ends")
	fs.BoolVar(&o.Insecure, "insecure", false, "take any TLS certificate")
	fs.StringVar(&o.From, "from", "", "`address` of this machine that all viewers come from")
	fs.IntVar(&o.Sources, "sources", 0, "source addresses 127.0.0.x towards loopback (0: as many as ports demand)")
	fs.IntVar(&o.Loops, "loops", 0, "event loops (0: by viewers and processors)")
	fs.StringVar(&o.Reader, "reader", ReaderAuto, "how viewers are read: auto, io_uring or epoll")
	logFlags(fs, &s.log)
	fs.StringVar(&o.Pump, "pump", "", "stream-pump `binary` for a run without -url")
	if err := parseFlags(fs, args, runUsage, help); err != nil {
		return s, err
	}
	return s, s.finish(fs)
}

// finish reads the scenario and checks everything.
func (s *settings) finish(fs *flag.FlagSet) error {
	if fs.NArg() > 0 {
		return fmt.Errorf("%q: not understood (addresses go behind -url)", fs.Arg(0))
	}
	var wrong []error
	fs.Visit(func(f *flag.Flag) { // what the library takes for "default" was said here in so many words
		if v := f.Value.String(); (f.Name == "clients" || f.Name == "rate" || f.Name == "packet") && v == "0" ||
			(f.Name == "duration" || f.Name == "max-join" || f.Name == "key-interval" || f.Name == "join-timeout") && v == "0s" {
			wrong = append(wrong, fmt.Errorf("-%s: must be above 0", f.Name))
		}
	})
	if s.scenario != "" {
		if err := s.readScenario(); err != nil {
			return err
		}
	}
	for name, file := range map[string]string{"json": s.json, "html": s.html} {
		if file == "" || file == "-" {
			continue
		}
		if st, err := os.Stat(filepath.Dir(file)); err != nil || !st.IsDir() { // better said now than after the run
			wrong = append(wrong, fmt.Errorf("-%s: %s cannot be written, %s is no folder", name, file, filepath.Dir(file)))
		}
	}
	if s.o.MinDelivery == 0 {
		s.o.MinDelivery = -1 // nothing is too little
	}
	if _, err := s.o.withDefaults(); err != nil {
		wrong = append(wrong, err)
	}
	return errors.Join(wrong...)
}

// wrongFile is what is wrong in a file, with its places.
type wrongFile struct{ error }

func (s *settings) readScenario() error {
	f, err := os.Open(s.scenario)
	if err != nil {
		return err
	}
	defer f.Close()
	if s.o, err = ParseScenario(f, s.scenario, s.o); err != nil {
		return wrongFile{err}
	}
	return nil
}
