// Package stream is where producers meet viewers: a [Stream] is one name that viewers
// ask for, with its state, its header epochs and its ring of packets. It knows neither
// a protocol nor a socket; the bytes it passes on were framed by the source.
//
// # One producer at a time
//
// [Stream.Open] hands out the producer's role as a [Publisher]; a second one is refused
// with a [BusyError], or replaces the first when it asks to take over. The role is a
// token: it passes on only when the holder has given it back, so the ring always has
// exactly one writer.
//
// # A stream survives its source
//
//	            Open          SetHeader
//	offline ──────────► connecting ──────────► live (or fallback, when the source is a backup)
//	   ▲                    ▲                    │
//	   │  End, or the       └────── Lost ────────┤ viewers are held
//	   └─ hold ran out ◄─────────────────────────┘
//
// When a source is lost the viewers stay connected for Options.Hold. If a source comes
// back with an equal header the packets simply go on; with another header the ring gets
// a Change slab and a new epoch begins; if nobody comes, or the source says that it has
// ended, the ring gets an End slab and every viewer is let go as its protocol says.
//
// # Waking readers
//
// A publisher calls [Waker.Wake] of every subscriber after each packet. Wakers must not
// block; the server's only set a flag and, at most once a pulse, wake an event loop.
package stream
