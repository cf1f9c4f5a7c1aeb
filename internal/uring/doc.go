// Package uring is as much of Linux's io_uring as the event loops need: a ring of one thread, entries that are put and
// submitted in one system call, completions, and buffers that the kernel picks from. It allocates nothing once a ring
// is made, and it knows nothing of what the entries do.
//
// A ring may be refused (an old kernel, a sandbox, kernel.io_uring_disabled): [New] and [NewBuffers] say why, and their
// callers have another way.
//
// Sources: io_uring(7), io_uring_setup(2), io_uring_enter(2), io_uring_register(2), linux/io_uring.h.
package uring
