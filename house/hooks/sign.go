package hooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Headers of a delivery.
const (
	HeaderSignature = "Pump-House-Signature"
	HeaderDelivery  = "Pump-House-Delivery"
)

// Sign returns the signature of a body that is sent now.
func Sign(secret string, now time.Time, body []byte) string {
	t := strconv.FormatInt(now.Unix(), 10)
	return "t=" + t + ",v1=" + hex.EncodeToString(sum(secret, t, body))
}

func sum(secret, t string, body []byte) []byte {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(t + "."))
	m.Write(body)
	return m.Sum(nil)
}

// What is wrong with a signature.
var (
	ErrSignature = errors.New("the signature does not fit")
	ErrOld       = errors.New("the signature is too old, or of a time to come")
)

// Verify checks a signature, as whoever is told should: within is how old it may be.
func Verify(secret, signature string, body []byte, now time.Time, within time.Duration) error {
	t, v1, ok := strings.Cut(signature, ",v1=")
	t, isTime := strings.CutPrefix(t, "t=")
	seconds, err := strconv.ParseInt(t, 10, 64)
	got, hexErr := hex.DecodeString(v1)
	if !ok || !isTime || err != nil || hexErr != nil {
		return fmt.Errorf("%w: it is not t=SECONDS,v1=HEX", ErrSignature)
	}
	if !hmac.Equal(got, sum(secret, t, body)) {
		return ErrSignature
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > within || age < -within {
		return ErrOld
	}
	return nil
}
