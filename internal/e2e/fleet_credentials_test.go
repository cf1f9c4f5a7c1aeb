package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// operatorNATS are the keys of NATS servers whose accounts and users are JWTs.
type operatorNATS struct {
	account nkeys.KeyPair
	conf    string // of a server
}

func natsKeys(t *testing.T, kp nkeys.KeyPair, err error) (nkeys.KeyPair, string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	public, err := kp.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return kp, public
}

func newOperatorNATS(t *testing.T) *operatorNATS {
	t.Helper()
	o := &operatorNATS{}
	kp, err := nkeys.CreateOperator()
	operator, operatorKey := natsKeys(t, kp, err)
	kp, err = nkeys.CreateAccount()
	account, accountKey := natsKeys(t, kp, err)
	kp, err = nkeys.CreateAccount()
	_, systemKey := natsKeys(t, kp, err)
	o.account = account
	oc := jwt.NewOperatorClaims(operatorKey)
	oc.SystemAccount = systemKey
	signed := func(c jwt.Claims) string {
		text, err := c.Encode(operator)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	ac := jwt.NewAccountClaims(accountKey)
	ac.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: 10 << 20, DiskStorage: 100 << 20, Streams: -1, Consumer: -1}
	o.conf = fmt.Sprintf("operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload: {%s: %s, %s: %s}\nJETSTREAM\n",
		signed(oc), systemKey, systemKey, signed(jwt.NewAccountClaims(systemKey)), accountKey, signed(ac))
	return o
}

// credentials writes those of a user, good until a time.
func (o *operatorNATS) credentials(t *testing.T, name string, until time.Time) {
	t.Helper()
	kp, err := nkeys.CreateUser()
	user, key := natsKeys(t, kp, err)
	uc := jwt.NewUserClaims(key)
	uc.Expires = until.Unix()
	token, err := uc.Encode(o.account)
	if err != nil {
		t.Fatal(err)
	}
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.FormatUserConfig(token, seed)
	if err != nil {
		t.Fatal(err)
	}
	next := name + ".next"
	if err := os.WriteFile(next, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, name); err != nil {
		t.Fatal(err)
	}
}

// A house does not start with credentials that have ended, and names their file. Where they have ended when it comes back to its servers it says so, sends viewers on, and goes
// on when the file is another one, without a word to it.
func TestCredentialsThatEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("runs real programs; left out with -short")
	}
	t.Parallel()
	o := newOperatorNATS(t)
	n := newLoneNATS(t, o.conf)
	file := filepath.Join(t.TempDir(), "house.creds")
	o.credentials(t, file, time.Now().Add(-time.Minute))
	h := newHouse(t, "expiring", n.at(", credentials: "+file))
	eventually(t, 30*time.Second, "the server listens", func() bool { return listens(n.Port) })
	h.Start(t)
	if said := h.proc.ends(t); !strings.Contains(said, file) || !strings.Contains(said, "not have ended") || strings.Contains(said, "SU") {
		t.Errorf("with credentials that have ended it said\n%s", said)
	}
	o.credentials(t, file, time.Now().Add(time.Hour))
	h.Start(t)
	h.WaitReady(t, time.Minute)
	if err := h.Import(fleetRoster(1, true)); err != nil {
		t.Fatal(err)
	}
	newTellingPump(t, "p0", h.Plain(""))
	o.credentials(t, file, time.Now().Add(-time.Minute))
	n.again(t, o.conf)
	eventually(t, time.Minute, "the house says that its credentials have ended", func() bool { return h.proc.says("the store cannot be reached", file, "not have ended") })
	eventually(t, 30*time.Second, "viewers are sent on", func() bool { return status(h.Plain("/streams/studio.asx")) == http.StatusOK })
	o.credentials(t, file, time.Now().Add(time.Hour))
	h.WaitReady(t, time.Minute)
	eventually(t, time.Minute, "a change is taken", func() bool { return h.Import(fleetRoster(2, false)) == nil })
	h.has(t, 2)
}
