package loadtest

// crew is a group of viewers with one goroutine, or one lock, that they all belong to.
type crew interface {
	// do runs f where the viewers may be touched, and waits for it. It returns at once, without running f, when the
	// crew has stopped.
	do(f func())
	// What follows is called within do.
	add(c *client)            // has it start soon
	each(f func(c *client))   // all that were added
	churn(perSecond float64)  // from now on
	release(c *client)        // has it leave for good
	thaw()                    // has slow viewers read what is there
	tallied() *tally          // its figures
	effort(reset bool) effort // since the last reset
	stop()                    // not within do: closes every connection and ends
}

// effort is what a crew had to do.
type effort struct {
	busy   float64 // share of the time
	lagP99 float64 // ms behind its own timetable
	lagMax float64 // ms
	toil   float64 // ms, the longest without a moment's rest
}
