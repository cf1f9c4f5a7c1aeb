// Package passhash reads, checks and makes the hashes that stand for passwords in a
// configuration: bcrypt ($2a$, $2b$ or $2y$, as htpasswd -B and Caddy write them) and
// argon2id in PHC form ($argon2id$v=19$m=…,t=…,p=…$salt$hash, as the argon2 program
// writes it).
//
// What a hash costs to check stands in the hash itself, so its parameters are bounded:
// one login takes at most 64 MiB and about a second of one processor.
package passhash
