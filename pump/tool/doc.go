// Package tool holds the two programs beside the pump: Push is a live encoder that plays
// an ASF file, Probe is a player that looks instead of playing.
//
// Both speak to any server of the protocol, not only to a Stream Pump. Everything they do
// is bounded in time and memory, and their errors say in words what a server answered.
// Addresses with user and password are never printed whole.
package tool
