package fleet

import "time"

// Paths of the house, below its address.
const (
	PathHello       = "/fleet/v1/hello"
	PathEvents      = "/fleet/v1/events"
	PathTelemetry   = "/fleet/v1/telemetry"
	PathCertificate = "/fleet/v1/certificate"
	PathConfig      = "/fleet/v1/config"
)

// Names of the server-sent events.
const (
	EventConfig  = "config"  // data: Config
	EventCommand = "command" // data: Command
	EventGoodbye = "goodbye" // data: Goodbye; the house closes, come again
)

// Times both sides keep to. The house may ask for others in its [Welcome].
const (
	TelemetryEvery = time.Second      // a batch at least so often
	SilenceMax     = 5 * time.Second  // the event stream is never silent longer: it carries comments
	DeadAfter      = 3 * time.Second  // a pump not heard of for so long counts as dead
	SessionFor     = 12 * time.Hour   // a session, before the pump says hello again
	CommandFor     = 15 * time.Second // a command not delivered within this is given up
)

// Bounds of what is sent.
const (
	MaxBody       = 4 << 20 // bytes of a message, unpacked
	MaxStreams    = 2000    // in one State
	MaxEvents     = 2000    // in one Batch
	MaxViewers    = 2000    // in one part of a Snapshot, one Command or one Ack
	MaxParts      = 1000    // of a Snapshot
	MaxText       = 512     // bytes of a text that is only shown; longer ones are cut
	MaxID         = 64      // bytes of a pump's id
	MaxClient     = 128     // bytes of an outside id
	MaxJournal    = 100_000 // events a pump keeps for a house it cannot reach
	maxCount      = 10_000_000
	maxBits       = 1e15  // bit/s
	maxTotal      = 1e17  // bytes or packets, ever
	maxAge        = 3.2e9 // ms, a month and more
	maxMemory     = 1 << 50
	maxProcessors = 4096
)
