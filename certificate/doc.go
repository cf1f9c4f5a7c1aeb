// Package certificate keeps the certificate that a server shows to its TLS clients, and
// what it asks of theirs. It comes from files, or from an authority by itself (package
// acme).
//
// A [Keeper] reads key and certificate from files and looks every few seconds whether
// they have changed: whoever renews them (certbot, a script, an administrator) need not
// tell the program. What is found is tried whole. If it is broken, does not fit together,
// has expired or is not valid yet, the certificate in force stays, and the log says once
// what is wrong with the new one. Connections that are open keep what they began with.
//
// At the start a certificate that has expired is used all the same, with an error in the
// log: what can be had without TLS must not be down because of it.
//
// The log warns in good time before a certificate ends: when less than 14 days, or less
// than a third of its life are left, whichever is shorter, and from then on once a day.
package certificate
