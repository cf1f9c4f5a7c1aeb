// Package pki is the house's own certificate authority: it signs the certificates that
// pumps show instead of a key, and the one that the house shows where it was given none of
// a public authority. Keys are ECDSA on P-256. What is given out and what was taken back is
// not known here: package registry keeps it.
package pki
