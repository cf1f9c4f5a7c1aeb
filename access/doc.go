// Package access decides who may do what: how many viewers a pump takes
// ([Limits]), who may push a stream ([Credentials]), and which networks may reach
// an address ([Networks]). [Authorization] is the other side: it answers a
// server's challenge when the pump pulls, or pushes, somewhere else.
//
// Users have a password, a bcrypt or argon2id hash of it, which is good for Basic, or an
// HA1, which is good for Digest. A [Hasher] bounds what checking hashes costs the whole
// program; a [Guard] slows down who guesses.
//
// Digest is offered with MD5, the algorithm Windows encoders know (RFC 2617, RFC
// 7616): a missing opaque is accepted, so is an answer without qop, and a nonce
// that has aged out is answered with a fresh challenge. Basic sends the password
// readably: it is offered and accepted over TLS, and elsewhere only where it is allowed
// by name.
//
// Nothing here does I/O, and no error text contains a secret.
package access
