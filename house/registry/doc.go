// Package registry is what a house must not forget: the roster, the streams, hashes of keys,
// invites and tokens, certificates given out, the house's own authority. It keeps them in
// the store and follows the store, so that what another house changes is in force here
// within moments.
//
// [State] is all of it at one moment, immutable; reading it never waits. A change goes to the
// store first, and is in force when it comes back from there: what a method returned without
// an error survives the house.
package registry
