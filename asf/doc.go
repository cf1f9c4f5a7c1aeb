// Package asf reads, checks and rewrites the Advanced Systems Format as a
// live reflector meets it: a header that describes the streams once, then one
// data packet after the other.
//
// The package does no I/O, knows no clock and writes no log: bytes go in,
// values come out. A live ASF "header" here is always the Header Object
// followed by the first 50 bytes of the Data Object, as one protocol message
// carries it; a "packet" is one ASF data packet, which may be shorter than the
// header's packet size when its padding was removed on the way.
//
// What comes from the network is not believed. Every size, count and length is
// compared with the bytes at hand before it is used; a lie is answered by an
// [*Error] that names the object, the offset and the bound it broke. No input
// makes the package read outside its slice, loop without end, or allocate by a
// number that the input announced.
//
// [ParseHeader], [Equivalent], [SetLive], [SetFileID] and
// [StripHeaderPadding] work on headers. [ParsePacket], [SendTime],
// [Payloads], [Rebase], [Strip] and [Pad] work on packets; those that run for
// every packet of a stream do not allocate. [BuildHeader] and [AppendPacket]
// make both, for tests and for synthetic sources.
//
// All functions are safe for concurrent use as long as the bytes they are
// given are not changed meanwhile; only [Rebase] and [Strip] write into their
// argument. Layouts follow the Advanced Systems Format Specification 01.20.05;
// its section numbers stand in brackets, as in [ASF 5.2].
package asf
