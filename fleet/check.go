package fleet

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxFaults bounds how many faults of one message are told.
const maxFaults = 20

// checker collects what is wrong with a message, each with the field's name.
type checker struct {
	errs []error
	more int
}

func (c *checker) fault(field, format string, args ...any) {
	if len(c.errs) == maxFaults {
		c.more++
		return
	}
	c.errs = append(c.errs, fmt.Errorf("%s %s", field, fmt.Sprintf(format, args...)))
}

// err returns all faults as one error, nil if there are none.
func (c *checker) err() error {
	if c.more > 0 {
		return errors.Join(append(c.errs, fmt.Errorf("and %d more", c.more))...)
	}
	return errors.Join(c.errs...)
}

// number wants 0 to most.
func (c *checker) number(field string, v int64, most float64) {
	switch {
	case v < 0:
		c.fault(field, "is %d (0 or more)", v)
	case float64(v) > most:
		c.fault(field, "is %d (at most %.0f)", v, most)
	}
}

// ratio wants 0 to most; it also refuses what is no number.
func (c *checker) ratio(field string, v, most float64) {
	if !(v >= 0 && v <= most) {
		c.fault(field, "is %g (0 to %g)", v, most)
	}
}

func (c *checker) pump(field, id string) {
	if !ValidID(id) {
		c.fault(field, "%q is no id of a pump (letters, digits, _, - and ., at most %d)", Shorten(id), MaxID)
	}
}

func (c *checker) stream(field, path string) {
	if !validPath(path) {
		c.fault(field, "%q is no path of a stream (letters, digits, _ and -, at most 128)", Shorten(path))
	}
}

func (c *checker) boot(field, boot string) {
	if !validBoot(boot) {
		c.fault(field, "is no boot (16 to 32 hexadecimal digits)")
	}
}

func (c *checker) oneOf(field, v string, words ...string) {
	for _, w := range words {
		if v == w {
			return
		}
	}
	c.fault(field, "is %q (one of %s)", Shorten(v), strings.Join(words, ", "))
}

var (
	idForm   = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$`)
	pathForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
	bootForm = regexp.MustCompile(`^[0-9a-f]{16,32}$`)
)

// ValidID tells whether id can be a pump's: 1 to [MaxID] letters, digits, _, - and ., not
// beginning with a dot nor ending with one. Ids are compared as written.
func ValidID(id string) bool {
	return idForm.MatchString(id) && !strings.HasSuffix(id, ".") && !strings.Contains(id, "..")
}

// ValidClient tells whether id can be a viewer's id given from outside: 1 to [MaxClient]
// bytes of UTF-8 without control characters.
func ValidClient(id string) bool {
	return id != "" && len(id) <= MaxClient && utf8.ValidString(id) && strings.IndexFunc(id, unicode.IsControl) < 0
}

// HousePrefix is how the id of a house's own pump begins; no pump of a roster has it.
const HousePrefix = "@"

// HouseID is the id of the pump within a house, which serves viewers that follow no redirect.
func HouseID(house string) string { return HousePrefix + house }

// ValidHouseID tells whether id is one of [HouseID].
func ValidHouseID(id string) bool {
	name, ok := strings.CutPrefix(id, HousePrefix)
	return ok && ValidID(name)
}

func validPath(p string) bool { return pathForm.MatchString(p) }
func validBoot(b string) bool { return bootForm.MatchString(b) }

// Shorten makes a text that came from outside fit to be shown: invalid bytes and control
// characters are replaced, and it is cut to [MaxText] bytes. What was shortened stays as it
// is when it is shortened again.
func Shorten(s string) string {
	s = strings.Map(func(r rune) rune { // invalid bytes are U+FFFD already
		if unicode.IsControl(r) {
			return utf8.RuneError
		}
		return r
	}, s)
	if len(s) <= MaxText {
		return s
	}
	cut := MaxText - len(ellipsis)
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + ellipsis
}

const ellipsis = "…"
