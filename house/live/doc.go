// Package live is what a house knows of its fleet right now: the roster in force, what each
// pump last said of itself, who watches where, and what has happened lately. All of it is in
// memory, none of it is stored, and nothing here waits for a network or a disk: viewers
// are delegated from here while the store is away.
//
// [Fleet] is fed from two sides: [Fleet.SetRoster] and [Fleet.SetStreams] by the registry,
// [Fleet.Apply] by pumps (or by other houses that heard them). It is read through a
// [View], which is immutable and found with one atomic load; the [Pump] values in it are
// the same ones from view to view as long as the pump stays in the roster, and their
// figures are atomics.
package live
