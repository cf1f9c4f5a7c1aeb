package mmsh

import "errors"

// What can be wrong with bytes from outside. Returned errors wrap one of these and say what, where and which bound.
var (
	ErrShort       = errors.New("more bytes are needed")
	ErrNotFramed   = errors.New("not MMSH framing")
	ErrSize        = errors.New("size out of bounds")
	ErrOrder       = errors.New("packet out of order")
	ErrUnknownBody = errors.New("neither ASF nor MMSH framing")
	ErrNoPlaylist  = errors.New("not a playlist")
)
