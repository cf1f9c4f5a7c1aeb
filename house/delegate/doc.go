// Package delegate sends each viewer to the pump that serves him best.
//
// A viewer asks the house for /streams/PATH. Of the pumps that are enabled, alive, not draining, deliver the
// stream, have room, and have a network that contains his address, those with the highest priority
// count. If several are left, viewers are spread over them by their free capacity, by weighted rendezvous hashing of
// address, outside id and stream; and the same viewer gets the same pump again for more than a minute, because players
// ask two or three times. If all pumps of a priority are full, those of the next one count.
//
// The answer has the form that his player follows: most take a redirect to an http address, VLC one to mmsh, and
// players that follow none are served through the house itself, up to a number ([Settings]). /streams/PATH.asx
// lists the best pumps, for players that go on to the next one by themselves.
//
// Between two reports of a pump the house counts whom it sent there, so that a crowd that comes at once does not
// overrun it; a viewer who does not arrive within ten seconds is not waited for any more. Houses tell each other
// ([Options.Bus]) whom they sent where.
//
// A decision reads what is in memory, waits for nobody and allocates nothing.
package delegate
