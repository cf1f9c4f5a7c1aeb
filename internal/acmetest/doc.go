// Package acmetest runs a real ACME authority for tests: Pebble, which Let's Encrypt makes
// for the purpose, in a process of its own, with a name server that knows every name as
// loopback.
package acmetest
