package testcard

import (
	_ "embed"
	"time"
)

// ASF is the whole file: header object, data object with packets of [PacketSize] bytes each, and after
// them an index, which is no part of the stream. Treat it as read-only: it is shared by all that import it.
//
//go:embed testcard.asf
var ASF []byte

const (
	// Duration is the length of one round. Picture and sound both end exactly there, so a loop
	// moves every time stamp of round n forward by n times Duration, and nothing is heard or seen.
	Duration = 8 * time.Second

	// PacketSize is the fixed size of a data packet in bytes: with the framing of MMSH it fits one
	// Ethernet frame.
	PacketSize = 1400
)
