// Package relay serves viewers through the house whose players follow no redirect.
//
// It looks after the house's own pump: a stream is taken there once, from a pump of the fleet, when the first such viewer
// comes, and let go some time after the last one has left. However many watch, the stream crosses the line once; each of
// them is an ordinary viewer of that pump, with its limits, its checks and its figures.
package relay
