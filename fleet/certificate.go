package fleet

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
)

// CertificateRequest asks for a client certificate at [PathCertificate], with an invite as
// bearer token, or with a session to renew one.
type CertificateRequest struct {
	Pump string `json:"pump"`
	CSR  string `json:"csr"` // PKCS #10, PEM; of its content only the public key is used
}

// CertificateAnswer brings the certificate.
type CertificateAnswer struct {
	Certificate string    `json:"certificate"` // PEM, with the chain
	CA          string    `json:"ca"`          // PEM, of the house's own authority
	NotAfter    time.Time `json:"not_after"`
	RenewS      int       `json:"renew_s"` // renew in so many seconds
}

// Check tells everything that is wrong with r.
func (r *CertificateRequest) Check() error {
	var c checker
	c.pump("pump", r.Pump)
	if r.CSR == "" || len(r.CSR) > 16<<10 {
		c.fault("csr", "is missing or too long")
	}
	return c.err()
}

// ErrInvite says that a text is no invite.
var ErrInvite = errors.New("not an invite as `pump-house invite` prints it")

// Invite lets one pump join, once. Its text is the whole secret.
type Invite struct {
	Pump   string
	Secret [16]byte
	CA     [sha256.Size]byte // of the house's own authority, DER; zero: the house has a certificate of a public one
}

const invitePrefix = "ph1"

// NewInvite makes an invite with a fresh secret. ca may be nil.
func NewInvite(pump string, ca *x509.Certificate) Invite {
	i := Invite{Pump: pump}
	rand.Read(i.Secret[:])
	if ca != nil {
		i.CA = sha256.Sum256(ca.Raw)
	}
	return i
}

// String returns the text for the pump's configuration.
func (i Invite) String() string {
	enc := base64.RawURLEncoding.EncodeToString
	parts := []string{invitePrefix, enc([]byte(i.Pump)), enc(i.Secret[:])}
	if i.Pinned() {
		parts = append(parts, enc(i.CA[:]))
	}
	return strings.Join(parts, ".")
}

// ParseInvite reads the text of an invite. The error is [ErrInvite] and shows nothing of it.
func ParseInvite(text string) (Invite, error) {
	var i Invite
	parts := strings.Split(strings.TrimSpace(text), ".")
	if len(text) > 300 || len(parts) < 3 || len(parts) > 4 || parts[0] != invitePrefix {
		return Invite{}, ErrInvite
	}
	dec := base64.RawURLEncoding.Strict()
	id, err := dec.DecodeString(parts[1])
	if err != nil || !ValidID(string(id)) {
		return Invite{}, fmt.Errorf("%w: its first part is damaged", ErrInvite)
	}
	i.Pump = string(id)
	if b, err := dec.DecodeString(parts[2]); err != nil || copy(i.Secret[:], b) != len(i.Secret) || len(b) != len(i.Secret) {
		return Invite{}, fmt.Errorf("%w: its second part is damaged", ErrInvite)
	}
	if len(parts) == 4 {
		if b, err := dec.DecodeString(parts[3]); err != nil || copy(i.CA[:], b) != len(i.CA) || len(b) != len(i.CA) || !i.Pinned() {
			return Invite{}, fmt.Errorf("%w: its third part is damaged", ErrInvite)
		}
	}
	return i, nil
}

// Pinned tells whether the invite names the house's authority.
func (i Invite) Pinned() bool { return i.CA != [sha256.Size]byte{} }

// IsCA tells whether c is the authority that the invite names.
func (i Invite) IsCA(c *x509.Certificate) bool {
	sum := sha256.Sum256(c.Raw)
	return i.Pinned() && subtle.ConstantTimeCompare(sum[:], i.CA[:]) == 1
}
