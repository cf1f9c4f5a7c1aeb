// Package testcard holds the live picture that needs no encoder: colour bars with a clock, a frame
// counter, a hand that turns and, each second, a flash together with a beep.
//
// It is what `stream-pump demo` serves and what a stream of type "testcard" sends when nothing else
// is at hand. Windows Media Video 8 at 480x270 and 25 frames a second with a key frame each second,
// and Windows Media Audio 2 at 32 kHz, about 400 kbit/s together.
//
// The file is made by scripts/make-testcard (`make testcard`) and committed, so that building needs
// nothing but Go.
package testcard
