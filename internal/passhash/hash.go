package passhash

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// Bounds of what is accepted.
const (
	MaxBcryptCost = 14        // 2^14 rounds
	MaxMemory     = 64 << 10  // KiB of argon2id
	MaxTime       = 16        // passes of argon2id
	MaxThreads    = 16        // lanes of argon2id
	maxWork       = 256 << 10 // KiB times passes
	maxText       = 512       // bytes of a hash as written
	maxBcryptText = 72        // bytes of a password that bcrypt looks at
)

// What [Parse] and [ParseHA1] find wrong. Errors never show the hash.
var (
	ErrForm   = errors.New("not a bcrypt or argon2id hash")
	ErrCostly = errors.New("costs too much to check")
	ErrNoHA1  = errors.New("not an ha1")
)

// Hash is one hash that was understood. The zero value matches no password. It is
// immutable and may be used from any goroutine.
type Hash struct {
	bcrypt string // the whole text; "" for argon2id

	memory, time uint32 // KiB, passes
	threads      uint8
	salt, sum    []byte
}

// Parse reads a hash. Its errors wrap [ErrForm] or [ErrCostly] and say what would be
// right.
func Parse(text string) (Hash, error) {
	switch {
	case len(text) > maxText:
		return Hash{}, fmt.Errorf("%w: longer than %d bytes", ErrForm, maxText)
	case strings.HasPrefix(text, "$2"):
		return parseBcrypt(text)
	case strings.HasPrefix(text, "$argon2id$"):
		return parseArgon2id(text)
	}
	return Hash{}, ErrForm
}

var bcryptForm = regexp.MustCompile(`^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$`)

func parseBcrypt(text string) (Hash, error) {
	m := bcryptForm.FindStringSubmatch(text)
	if m == nil {
		return Hash{}, fmt.Errorf("%w: bcrypt is $2b$, two digits, $ and 53 characters", ErrForm)
	}
	cost, _ := strconv.Atoi(m[1])
	if cost < bcrypt.MinCost {
		return Hash{}, fmt.Errorf("%w: the cost of bcrypt is at least %d", ErrForm, bcrypt.MinCost)
	}
	if cost > MaxBcryptCost {
		return Hash{}, fmt.Errorf("%w: bcrypt with cost %d, at most %d", ErrCostly, cost, MaxBcryptCost)
	}
	return Hash{bcrypt: text}, nil
}

var argonForm = regexp.MustCompile(`^\$argon2id\$v=(\d{1,3})\$m=(\d{1,10}),t=(\d{1,10}),p=(\d{1,10})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$`)

// parseArgon2id reads the PHC string format.
func parseArgon2id(text string) (Hash, error) {
	m := argonForm.FindStringSubmatch(text)
	if m == nil {
		return Hash{}, fmt.Errorf("%w: argon2id is $argon2id$v=19$m=…,t=…,p=…$salt$hash, base64 without padding", ErrForm)
	}
	if m[1] != strconv.Itoa(argon2.Version) {
		return Hash{}, fmt.Errorf("%w: version %s of argon2id, want %d", ErrForm, m[1], argon2.Version)
	}
	memory, time, threads := numeral(m[2]), numeral(m[3]), numeral(m[4])
	if time < 1 || threads < 1 || memory < 8*threads {
		return Hash{}, fmt.Errorf("%w: argon2id wants t and p from 1, and m from 8 times p", ErrForm)
	}
	if memory > MaxMemory || time > MaxTime || threads > MaxThreads || memory*time > maxWork {
		return Hash{}, fmt.Errorf("%w: argon2id with m=%d,t=%d,p=%d; at most m=%d, t=%d, p=%d and m times t %d",
			ErrCostly, memory, time, threads, MaxMemory, MaxTime, MaxThreads, maxWork)
	}
	salt, saltErr := base64.RawStdEncoding.Strict().DecodeString(m[5])
	sum, sumErr := base64.RawStdEncoding.Strict().DecodeString(m[6])
	if saltErr != nil || sumErr != nil {
		return Hash{}, fmt.Errorf("%w: salt or hash is no base64", ErrForm)
	}
	return Hash{memory: uint32(memory), time: uint32(time), threads: uint8(threads), salt: salt, sum: sum}, nil
}

// numeral reads at most ten digits.
func numeral(s string) uint64 {
	n, _ := strconv.ParseUint(s, 10, 64)
	return n
}

// Matches tells whether the password is the one that was hashed. It takes as long as
// the hash costs, up to about a second, and for argon2id its memory: bound how many
// run at once. bcrypt looks at the first 72 bytes only.
func (h Hash) Matches(password string) bool {
	switch {
	case h.bcrypt != "":
		return bcrypt.CompareHashAndPassword([]byte(h.bcrypt), []byte(password)[:min(len(password), maxBcryptText)]) == nil
	case len(h.sum) > 0:
		got := argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, uint32(len(h.sum)))
		return subtle.ConstantTimeCompare(got, h.sum) == 1
	}
	return false
}

// Parameters of new hashes: the second choice of RFC 9106 4 for argon2id, with less
// memory so that several may be checked at once; for bcrypt about 60 ms.
const (
	newMemory  = 19 << 10
	newTime    = 2
	newThreads = 1
	newCost    = 10
	newSalt    = 16
	newSum     = 32
)

// NewArgon2id hashes a password.
func NewArgon2id(password string) string {
	salt := make([]byte, newSalt)
	rand.Read(salt)
	sum := argon2.IDKey([]byte(password), salt, newTime, newMemory, newThreads, newSum)
	enc := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, newMemory, newTime, newThreads, enc(salt), enc(sum))
}

// NewBcrypt hashes a password of at most 72 bytes.
func NewBcrypt(password string) (string, error) {
	if len(password) > maxBcryptText {
		return "", fmt.Errorf("the password has %d bytes, bcrypt takes %d: use argon2id", len(password), maxBcryptText)
	}
	sum, err := bcrypt.GenerateFromPassword([]byte(password), newCost)
	if err != nil {
		return "", fmt.Errorf("hashing with bcrypt: %w", err)
	}
	return string(sum), nil
}
