// Package store keeps what a house must not forget, and carries words between houses.
//
// [Store] is small on purpose: get, put if nobody else has changed it, delete, watch; leases,
// which end by themselves; and a [Bus] for what may be lost. It is implemented by
// NATS JetStream ([Open]): in a server within this program, alone or as one of a cluster of
// houses, or in servers that are there; and by [Memory] for tests. One suite holds all of
// them to the same contract.
//
// # What is promised
//
// A put or delete that returned without an error is on the disk (of most of the replicas,
// if there are several) and survives kill -9 and power cuts. One that returned an error
// may have happened all the same if that is [ErrUnavailable]; any other error says that it
// did not. When the disk is full, changes are refused with [ErrFull], and what is there
// stays; once there is room again they are taken again.
//
// A store of a house that is alone which has lost something is not opened ([ErrDamaged]), nor one
// that a newer program has written ([ErrNewer]). One at other servers is not opened when it is another
// one than the house has known, or has less ([ErrLost], with [Options.Kept]); one that becomes so while
// it is open takes no change until it is what it was, and watches yield nothing of it.
//
// A limit of the servers or of the account is told by name, and is an [ErrFull].
package store
