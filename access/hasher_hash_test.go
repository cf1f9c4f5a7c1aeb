package access

import (
	"testing"

	"github.com/stream-pump/stream-pump/internal/passhash"
)

func TestHasherMatchesHashesThatAreNoUsers(t *testing.T) {
	h := NewHasher(HasherOptions{})
	hash := passhash.NewArgon2id("secret")
	for _, tt := range []struct {
		owner, hash, secret string
		want                bool
	}{
		{"a", hash, "secret", true},
		{"a", hash, "secret", true}, // remembered
		{"a", hash, "wrong", false},
		{"b", passhash.NewArgon2id("other"), "secret", false},
		{"a", "", "", false},
		{"a", "no hash", "no hash", false},
	} {
		if got, err := h.Matches(t.Context(), tt.owner, tt.hash, tt.secret); got != tt.want || err != nil {
			t.Errorf("%+v: %v, %v", tt, got, err)
		}
	}
}
