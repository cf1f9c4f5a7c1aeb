// Package mmsh is the wire format of Windows Media streaming over HTTP, without any I/O: bytes in, values out.
//
// It knows three parts of the protocol. Framing: the small packets ($H header, $D data, $C change, $E end and a few
// more) that an MMSH body is made of, in both directions; towards a player they carry an eight-byte MMS pre-header,
// from a push encoder they do not. Requests: which of the many things a player or an encoder can ask for a given HTTP
// request is, told by method, User-Agent, Content-Type and the tokens of its Pragma lines. Replies and our own
// requests: the heads, byte for byte, as players and encoders in the field accept them.
//
// Nothing here opens a connection, reads a clock or writes a log, and nothing here keeps state that is shared: a
// [Decoder] and an [Order] belong to one goroutine, everything else is a value or a pure function and may be used from
// anywhere.
//
// Sources: [MS-WMSP] (player and server), [MS-WMHTTP] (push encoder), and what the common players were seen to send
// and to accept.
package mmsh
