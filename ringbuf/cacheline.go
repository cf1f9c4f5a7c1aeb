package ringbuf

import (
	"fmt"

	"github.com/klauspost/cpuid/v2"
)

// CacheLinePad is the distance, in bytes, kept between words that different cores
// write: two 64-byte lines, for the prefetcher of x86 fetches them in pairs.
const CacheLinePad = 128

// CheckCacheLine returns an error when this processor's cache line is longer than
// [CacheLinePad], in which case head and tail of a ring share one and publishing
// slows readers down. Nothing breaks.
func CheckCacheLine() error {
	if line := cpuid.CPU.CacheLine; line > CacheLinePad {
		return fmt.Errorf("cache line is %d bytes, the rings are laid out for at most %d", line, CacheLinePad)
	}
	return nil
}
