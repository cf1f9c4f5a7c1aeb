//go:build !linux

package pump

// relaxMonitor does nothing where the kernel has no such setting.
func relaxMonitor() error { return nil }

func (p *Pump) spareProcessor(error) {}
