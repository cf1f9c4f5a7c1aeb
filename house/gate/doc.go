// Package gate is where pumps come in: the addresses under /fleet/v1. It finds out who they
// are, gives each the configuration that is meant for it as soon as that changes, hears
// what they tell, passes commands on, and hands out certificates.
//
// What a pump should have is computed here too ([Effective]), from the roster, the streams
// and who is up: each stream's source is set to the pump's parents, or to the original.
package gate
