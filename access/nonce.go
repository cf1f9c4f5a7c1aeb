package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"sync"
	"time"
)

// A nonce is 8 bytes of issue time, 8 random bytes and 16 bytes of HMAC-SHA-256
// over both, in base64. The time is counted from when the key was made, by the clock
// that nobody sets: a nonce lives as long when the machine's clock is put right. Issuing one keeps nothing, so asking for a million of them
// costs the pump no memory; only nonces that were used with the right password are
// remembered, to refuse replays, and of those at most maxUsed.
const (
	nonceBytes = 8 + 8 + 16
	maxUsed    = 1 << 14 // as many viewers can log in within a nonce's lifetime
)

type nonces struct {
	key      [32]byte
	lifetime time.Duration
	now      func() time.Time
	began    time.Time

	mu    sync.Mutex
	used  map[string]*usedNonce
	swept time.Time // when the table was last full and gone through
}

type usedNonce struct {
	expires time.Time
	uses    int
	count   uint32 // highest nc seen
}

func newNonces(lifetime time.Duration, now func() time.Time) *nonces {
	n := &nonces{lifetime: lifetime, now: now, began: now(), used: map[string]*usedNonce{}}
	rand.Read(n.key[:])
	return n
}

func (n *nonces) issue() string {
	var b [nonceBytes]byte
	binary.BigEndian.PutUint64(b[:], uint64(n.now().Sub(n.began)))
	rand.Read(b[8:16])
	copy(b[16:], n.mac(b[:16]))
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (n *nonces) mac(b []byte) []byte {
	h := hmac.New(sha256.New, n.key[:])
	h.Write(b)
	return h.Sum(nil)[:16]
}

// alive reports whether s was issued here and its time is not over.
func (n *nonces) alive(s string) bool {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != nonceBytes || !hmac.Equal(b[16:], n.mac(b[:16])) {
		return false
	}
	age := n.now().Sub(n.issued(b))
	return age >= 0 && age <= n.lifetime
}

func (n *nonces) issued(b []byte) time.Time {
	return n.began.Add(time.Duration(binary.BigEndian.Uint64(b)))
}

// use counts one use of a nonce that is alive and was answered rightly. It reports
// false when the answer may be a replay: its count is not higher than an earlier
// one (numbered answers only), or the nonce was used maxUses times.
func (n *nonces) use(s string, numbered bool, count uint32) bool {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != nonceBytes {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	// The decoded bytes are the key: base64 leaves a few bits free in its last
	// character, and two spellings of one nonce must not count apart.
	u := n.used[string(b)]
	if u == nil {
		if !n.makeRoom() {
			return false
		}
		u = &usedNonce{expires: n.issued(b).Add(n.lifetime)}
		n.used[string(b)] = u
	}
	if u.uses >= maxUses || (numbered && count <= u.count) {
		return false
	}
	u.uses++
	if numbered {
		u.count = count
	}
	return true
}

// maxUses bounds the answers accepted for one nonce.
const maxUses = 64

// makeRoom forgets nonces whose time is over when the table is full.
func (n *nonces) makeRoom() bool {
	if len(n.used) < maxUsed {
		return true
	}
	now := n.now()
	if now.Sub(n.swept) < time.Second {
		return false
	}
	n.swept = now
	for k, u := range n.used {
		if now.After(u.expires) {
			delete(n.used, k)
		}
	}
	return len(n.used) < maxUsed
}
