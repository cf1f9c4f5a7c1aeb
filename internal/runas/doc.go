// Package runas makes a program that root has started an ordinary one.
//
//	Prepare   before anything is opened    looks the user up; starts the program anew with no_new_privs set
//	Drop      once everything is bound     becomes the user on every thread, and proves it
//
// # What is given up
//
// User, group and supplementary groups change on every thread of the process (Go's
// system calls for that act on all of them). With the user, the kernel takes away all
// capabilities, permitted, effective and ambient. The no_new_privs bit is a thread's own
// and a Go program has several threads before its first line runs; so Prepare sets it on
// one thread and starts the program anew from there: the new threads all inherit it. Then
// no program that this one starts can gain anything either, by set-user-ID bits or file
// capabilities.
//
// # The proof
//
// Drop reads what the kernel says of every thread, in /proc/self/task, and tries to
// become root again. If any thread has kept something, or the way back is open, that is an
// error and the program must end.
//
// A program that already is the user, because it was started as that user or by a
// predecessor that had become it, changes nothing and is held to the same proof, apart from
// what is its starter's to say: no_new_privs, the right to ports below 1024, and which groups
// a user namespace hides. So one configuration serves under systemd and without.
package runas
