package loadtest

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	maxScenario = 1 << 20 // bytes of a scenario file
	maxNesting  = 16      // of lists and mappings, in each other
	maxIndent   = 100     // columns
)

const leastScenario = "phases: [{clients: 100, duration: 20s}]"

// scenarioFile is a scenario as it is written: phases one after another, and what holds for all of them. What is not
// there is as the command line has it.
type scenarioFile struct {
	urls         []string
	rate, packet *int
	slow         *float64
	bps          *int
	phases       []scenarioPhase
}

type scenarioPhase struct {
	name     string
	clients  *int     // as before when absent
	ramp     *float64 // viewers a second; 0: all at once
	duration time.Duration
	churn    float64
}

// ParseScenario reads a scenario into o. The error has everything that is wrong, a line each, as NAME:LINE:COLUMN: what is
// wrong (what would be right).
func ParseScenario(r io.Reader, name string, o Options) (Options, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxScenario+1))
	if err != nil {
		return o, err
	}
	if len(b) > maxScenario {
		return o, fmt.Errorf("%s:1:1: the file is too long (at most %d bytes)", name, maxScenario)
	}
	s := &scenarioReader{name: name}
	f := s.read(string(b))
	if s.problems != nil {
		return o, errors.Join(s.problems...)
	}
	if len(o.URLs) == 0 {
		o.URLs = f.urls
	}
	override(&o.Rate, f.rate)
	override(&o.Packet, f.packet)
	override(&o.Slow, f.slow)
	override(&o.SlowBPS, f.bps)
	o.Phases = phasesOf(f.phases, o)
	return o, nil
}

func override[T any](field, with *T) {
	if with != nil {
		*field = *with
	}
}

// phasesOf fills in what a phase leaves open: as many viewers as before, the duration and ramp of the command line.
func phasesOf(list []scenarioPhase, o Options) []Phase {
	var phases []Phase
	clients := o.Clients
	for i, p := range list {
		override(&clients, p.clients)
		ph := Phase{Name: p.name, Clients: clients, Ramp: o.Ramp, Duration: p.duration, Churn: p.churn}
		override(&ph.Ramp, p.ramp)
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

// read parses the text and notes what is wrong with it.
func (s *scenarioReader) read(text string) (f scenarioFile) {
	tokens := lexer.Tokenize(text)
	if !s.shallow(tokens) {
		return f
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		s.syntax(err)
		return f
	}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		s.mapping(doc.Body, fields{
			"urls":     s.addresses(&f.urls),
			"rate":     s.whole(&f.rate, 1000, 1_000_000_000, "bit/s"),
			"packet":   s.whole(&f.packet, minPacket, maxPacket, "bytes"),
			"slow":     s.number(&f.slow, 0, 1),
			"slow_bps": s.whole(&f.bps, 0, 1_000_000_000, "bit/s"),
			"phases":   s.phases(&f.phases),
		})
	}
	switch {
	case s.problems != nil:
	case len(f.phases) == 0:
		s.problem(nil, "the scenario has no phases", leastScenario)
	}
	return f
}

// shallow refuses nesting that the parser, which recurses, had better not see.
func (s *scenarioReader) shallow(tokens token.Tokens) bool {
	depth := 0
	for _, t := range tokens {
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			depth++
		case token.MappingEndType, token.SequenceEndType:
			depth--
		}
		if depth > maxNesting || t.Position.Column > maxIndent && t.Type == token.SequenceEntryType {
			s.problem(t, "values are nested too deeply", leastScenario)
			return false
		}
	}
	return true
}

func (s *scenarioReader) syntax(err error) {
	var at *token.Token
	what := err.Error()
	if wrong := (*yaml.SyntaxError)(nil); errors.As(err, &wrong) {
		what, at = wrong.Message, wrong.Token
	}
	what, _, _ = strings.Cut(what, "\n")
	s.problem(at, "this is no YAML: "+what, "")
}
