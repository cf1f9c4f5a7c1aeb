// Package access decides who may do what: how many viewers a pump takes
// ([Limits]), who is let in at a place, such as a stream's encoders or its viewers
// ([Gate]), and which networks may reach an address ([Networks]). [Authorization] is the
// other side: it answers a server's challenge when the pump pulls, or pushes, somewhere
// else.
//
// A gate knows networks, users, tokens, client certificates and signed addresses. Users
// have a password, a bcrypt or argon2id hash of it, which is good for Basic, or an
// HA1, which is good for Digest. A signed address ([Key], [Keyring], [Grant]) is made by
// whoever shares a secret with the pump, and ends when it says. A [Hasher] bounds what
// checking hashes costs the whole program; a [Guard] slows down who guesses. A [Denial]
// says why somebody is not let in. The package hook below asks the operator's own
// program.
//
// Digest is offered with MD5, the algorithm Windows encoders know (RFC 2617, RFC
// 7616): a missing opaque is accepted, so is an answer without qop, and a nonce
// that has aged out is answered with a fresh challenge. Basic sends the password
// readably: it is offered and accepted over TLS, and elsewhere only where it is allowed
// by name.
//
// Nothing here does I/O, secrets are compared in constant time, and no error text
// contains one.
package access
