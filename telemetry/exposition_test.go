package telemetry

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// exposition is what a page says: type by family, value by series.
type exposition struct {
	types  map[string]string
	values map[string]float64
}

// reader reads a page as strictly as no scraper does, so that every scraper can.
type reader struct {
	exposition
	helped map[string]bool
	family string // of the last TYPE line; samples that follow belong to it
	last   bucket
}

// bucket is the histogram bucket of the line before; buckets of one series must
// ascend in bound and count.
type bucket struct {
	series string
	le, n  float64
}

var (
	metaLine   = regexp.MustCompile(`^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*)(?: (.*))?$`)
	sampleLine = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (NaN|[+-]Inf|[0-9eE.+-]+)$`)
	oneLabel   = regexp.MustCompile(`^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\["\\n])*)"(?:, ?|$)`)
)

func readPage(page string) (exposition, error) {
	r := reader{exposition: exposition{types: map[string]string{}, values: map[string]float64{}}, helped: map[string]bool{}}
	if !utf8.ValidString(page) || !strings.HasSuffix(page, "\n") {
		return r.exposition, fmt.Errorf("not UTF-8, or no line feed at the end")
	}
	for line := range strings.Lines(page) {
		line = strings.TrimSuffix(line, "\n")
		read := r.sample
		if strings.HasPrefix(line, "#") {
			read = r.meta
		}
		if err := read(line); err != nil {
			return r.exposition, fmt.Errorf("%w: %q", err, line)
		}
	}
	return r.exposition, nil
}

func (r *reader) meta(line string) error {
	m := metaLine.FindStringSubmatch(line)
	if m == nil {
		return fmt.Errorf("neither HELP nor TYPE")
	}
	name, text := m[2], m[3]
	if _, typed := r.types[name]; typed {
		return fmt.Errorf("family is there already")
	}
	if m[1] == "HELP" {
		if r.helped[name] {
			return fmt.Errorf("second HELP")
		}
		r.helped[name] = true
		return nil
	}
	if !slices.Contains([]string{"counter", "gauge", "histogram", "summary"}, text) {
		return fmt.Errorf("no such type")
	}
	r.types[name], r.family = text, name
	return nil
}

func (r *reader) sample(line string) error {
	m := sampleLine.FindStringSubmatch(line)
	if m == nil {
		return fmt.Errorf("no sample")
	}
	name, labels := m[1], m[2]
	suffix, within := strings.CutPrefix(name, r.family)
	if !within || !slices.Contains(suffixes(r.types[r.family]), suffix) {
		return fmt.Errorf("sample of another family than %q", r.family)
	}
	le, err := checkLabels(labels)
	if err != nil {
		return err
	}
	value, err := strconv.ParseFloat(m[3], 64)
	if err != nil {
		return err
	}
	id := seriesID(name, labels)
	if _, there := r.values[id]; there {
		return fmt.Errorf("series twice")
	}
	r.values[id] = value
	if suffix != "_bucket" {
		return nil
	}
	return r.bucket(strings.Replace(id, `le="`+le+`"`, "", 1), le, value)
}

func suffixes(kind string) []string {
	switch kind {
	case "histogram":
		return []string{"_bucket", "_sum", "_count"}
	case "summary":
		return []string{"", "_sum", "_count"}
	}
	return []string{""}
}

// checkLabels returns the value of the label le.
func checkLabels(labels string) (le string, err error) {
	seen := map[string]bool{}
	for labels != "" {
		m := oneLabel.FindStringSubmatch(labels)
		if m == nil || seen[m[1]] {
			return "", fmt.Errorf("bad labels")
		}
		seen[m[1]] = true
		if m[1] == "le" {
			le = m[2]
		}
		labels = labels[len(m[0]):]
	}
	return le, nil
}

func (r *reader) bucket(series, le string, n float64) error {
	bound, err := strconv.ParseFloat(le, 64)
	if err != nil {
		return fmt.Errorf("bucket without bound: %w", err)
	}
	if series != r.last.series {
		r.last = bucket{series: series, le: math.Inf(-1)}
	}
	if bound <= r.last.le || n < r.last.n {
		return fmt.Errorf("buckets do not ascend")
	}
	r.last.le, r.last.n = bound, n
	return nil
}

// The reader finds what it is there for.
func TestCheckerRefuses(t *testing.T) {
	for name, page := range map[string]string{
		"split family":        "# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\na{x=\"1\"} 1\n",
		"family twice":        "# TYPE a gauge\na 1\n# TYPE a gauge\na{x=\"1\"} 1\n",
		"HELP twice":          "# HELP a x\n# HELP a x\n# TYPE a gauge\na 1\n",
		"HELP after TYPE":     "# TYPE a gauge\n# HELP a x\na 1\n",
		"no TYPE":             "a 1\n",
		"unknown type":        "# TYPE a number\na 1\n",
		"series twice":        "# TYPE a gauge\na{x=\"1\"} 1\na{x=\"1\"} 2\n",
		"label twice":         "# TYPE a gauge\na{x=\"1\",x=\"1\"} 1\n",
		"bare quote":          "# TYPE a gauge\na{x=\"\"\"} 1\n",
		"unknown escape":      "# TYPE a gauge\na{x=\"\\t\"} 1\n",
		"no value":            "# TYPE a gauge\na\n",
		"comment":             "# a\n",
		"buckets descend":     "# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"2\"} 1\n",
		"bucket of a counter": "# TYPE a counter\na_bucket{le=\"1\"} 2\n",
		"no line feed":        "# TYPE a gauge\na 1",
		"not UTF-8":           "# TYPE a gauge\na{x=\"\xff\"} 1\n",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := readPage(page); err == nil {
				t.Error("accepted")
			}
		})
	}
}
