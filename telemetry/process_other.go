//go:build !linux

package telemetry

// processFamilies returns what every system tells.
func processFamilies() []*family {
	return []*family{
		single("process_start_time_seconds", "When the process started, in seconds since 1970.", kindGauge, "", constant(float64(started.UnixMilli())/1000)),
	}
}
