package loadtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// maxScenario bounds a scenario file, in bytes.
const maxScenario = 1 << 20

// scenarioFile is a scenario as it is written: phases one after another, and what holds for all of them.
type scenarioFile struct {
	URLs   []string        `yaml:"urls"`
	Rate   int             `yaml:"rate"`
	Packet int             `yaml:"packet"`
	Slow   float64         `yaml:"slow"`
	BPS    int             `yaml:"slow_bps"`
	Phases []scenarioPhase `yaml:"phases"`
}

type scenarioPhase struct {
	Name     string    `yaml:"name"`
	Clients  *int      `yaml:"clients"` // as before when absent
	Ramp     *float64  `yaml:"ramp"`    // viewers a second; 0: all at once
	Duration yamlDelay `yaml:"duration"`
	Churn    float64   `yaml:"churn"`
}

// yamlDelay is a time span such as 20s, or a number of seconds.
type yamlDelay time.Duration

// UnmarshalYAML reads it.
func (d *yamlDelay) UnmarshalYAML(b []byte) error {
	text := strings.Trim(strings.TrimSpace(string(b)), `"'`)
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds >= 0 && seconds < maxDuration.Seconds() {
		*d = yamlDelay(seconds * float64(time.Second))
		return nil
	}
	v, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("%q is no time span (20s, 1m30s, or seconds)", text)
	}
	*d = yamlDelay(v)
	return nil
}

// ParseScenario reads a scenario into o. Errors say line and column.
func ParseScenario(r io.Reader, o Options) (Options, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxScenario+1))
	if err != nil {
		return o, err
	}
	if len(b) > maxScenario {
		return o, fmt.Errorf("a scenario is at most %d bytes", maxScenario)
	}
	var f scenarioFile
	if err := yaml.NewDecoder(bytes.NewReader(b), yaml.DisallowUnknownField()).Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return o, errors.New(yaml.FormatError(err, false, true))
	}
	if len(f.Phases) == 0 {
		return o, errors.New("a scenario has at least one phase (phases: [{clients: 100, duration: 20s}])")
	}
	if len(f.Phases) > maxPhases {
		return o, fmt.Errorf("%d phases are more than %d", len(f.Phases), maxPhases)
	}
	if len(o.URLs) == 0 {
		o.URLs = f.URLs
	}
	for _, v := range []struct{ from, to *int }{{&f.Rate, &o.Rate}, {&f.Packet, &o.Packet}, {&f.BPS, &o.SlowBPS}} {
		if *v.from != 0 {
			*v.to = *v.from
		}
	}
	if f.Slow != 0 {
		o.Slow = f.Slow
	}
	o.Phases = phasesOf(f.Phases, o)
	return o, nil
}

// phasesOf fills in what a phase leaves open: as many viewers as before, the duration and ramp of the command line.
func phasesOf(list []scenarioPhase, o Options) []Phase {
	var phases []Phase
	clients := o.Clients
	for i, p := range list {
		if p.Clients != nil {
			clients = *p.Clients
		}
		ph := Phase{Name: p.Name, Clients: clients, Ramp: o.Ramp, Duration: time.Duration(p.Duration), Churn: p.Churn}
		if p.Ramp != nil {
			ph.Ramp = *p.Ramp
		}
		if ph.Duration == 0 {
			ph.Duration = o.Duration
		}
		if ph.Name == "" {
			ph.Name = fmt.Sprintf("phase %d", i+1)
		}
		phases = append(phases, ph)
	}
	return phases
}
