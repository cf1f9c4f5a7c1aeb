package delegate

import "net/netip"

// FNV-1a, 64 bits.
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

func hashString(h uint64, s string) uint64 {
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * fnvPrime
	}
	return h
}

// mix spreads every bit over all others (the finalizer of splitmix64).
func mix(h uint64) uint64 {
	h ^= h >> 30
	h *= 0xBF58476D1CE4E5B9
	h ^= h >> 27
	h *= 0x94D049BB133111EB
	return h ^ h>>31
}

// viewerKey is who asks for what. It is the same in every house and at every start: the choice hangs on it. A client
// without an outside id is his address.
func viewerKey(a netip.Addr, client, stream string) uint64 {
	b := a.As16()
	h := uint64(fnvOffset)
	for _, c := range b {
		h = (h ^ uint64(c)) * fnvPrime
	}
	h = hashString(h, client)
	h = (h ^ 0xFF) * fnvPrime // no byte of a text
	return max(mix(hashString(h, stream)), 1)
}

// pumpKey is a pump in the choice.
func pumpKey(id string) uint64 { return mix(hashString(fnvOffset, id)) }
