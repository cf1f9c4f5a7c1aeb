package access

import (
	"context"

	"github.com/stream-pump/stream-pump/internal/passhash"
)

// Matches tells whether a secret is the one that was hashed, at the cost and with the
// memory that [Hasher] is for. owner tells equal hashes of different owners apart. A hash
// that cannot be read matches nothing. [ErrCredentialsBusy] says that there was no turn.
func (h *Hasher) Matches(ctx context.Context, owner, hash, secret string) (bool, error) {
	parsed, err := passhash.Parse(hash)
	if err != nil {
		return false, nil
	}
	return h.check(ctx, &login{name: owner, hash: parsed, hashed: hash}, secret)
}
