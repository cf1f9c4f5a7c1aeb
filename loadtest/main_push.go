package loadtest

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/stream-pump/stream-pump/telemetry"
)

const pushUsage = `loadtest push is a synthetic encoder: it pushes stamped packets on a fixed schedule (MS-WMHTTP).

Usage:
  loadtest push [flags] URL

Example:
  loadtest push -rate 1000000 http://127.0.0.1:8086/streams/x_push

Exit status: 0 ended as asked, 1 refused, 2 wrong usage.

Flags:
`

// mainPush is the command "loadtest push".
func mainPush(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o PushOptions
	fs := flag.NewFlagSet("loadtest push", flag.ContinueOnError)
	fs.IntVar(&o.Rate, "rate", 300_000, "`bit/s`")
	fs.IntVar(&o.Packet, "packet", 1400, "`bytes` of a packet")
	fs.DurationVar(&o.KeyInterval, "key-interval", 2*time.Second, "time between key frames")
	fs.BoolVar(&o.AudioOnly, "audio-only", false, "a stream without video")
	fs.DurationVar(&o.Flap, "flap", 0, "drop the connection this often and come back a second later")
	fs.DurationVar(&o.Duration, "duration", 0, "end after this long (0: when interrupted)")
	fs.BoolVar(&o.Insecure, "insecure", false, "take any TLS certificate")
	var logging telemetry.LogOptions
	logFlags(fs, &logging)
	stats := fs.Bool("stats", false, "write an account as a line of JSON each second")
	if err := parseFlags(fs, args, pushUsage, stdout); err != nil {
		return usageError(err, stderr)
	}
	if fs.NArg() != 1 {
		return usageError(errors.New("push takes one address, such as http://127.0.0.1:8086/streams/x_push"), stderr)
	}
	o.URL = fs.Arg(0)
	if _, err := o.withDefaults(); err != nil || o.Flap < 0 || o.Duration < 0 {
		if err == nil {
			err = errors.New("time spans are not below 0")
		}
		return usageError(err, stderr)
	}
	log, err := logging.Logger(stderr)
	if err != nil {
		return usageError(err, stderr)
	}
	if *stats {
		enc := json.NewEncoder(stdout)
		o.Report = func(s Source) { _ = enc.Encode(s) } // nobody reads any more: the signal comes
	}
	o.Connected = func() {
		fmt.Fprintln(stderr, "pushing")
		log.Info("connected", "url", telemetry.Redact(o.URL), "rate_bps", o.Rate, "packet_bytes", o.Packet)
	}
	if err := Push(ctx, o); err != nil {
		fmt.Fprintln(stderr, "loadtest:", err)
		return exitFailed
	}
	return exitPassed
}
