// Package roster is the list of a fleet's pumps: what each is called, whom it serves, where
// it gets its streams, and what it can carry.
//
// It is pure: values in, values out. A [Roster] is not changed once it is made; whoever
// wants another one makes another one.
package roster
