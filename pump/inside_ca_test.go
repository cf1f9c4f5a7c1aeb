package pump

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/house"
	"github.com/stream-pump/stream-pump/internal/certtest"
)

// A pump behind TLS may have its certificate of an authority that only relay.ca names: the house takes streams from it, and
// cuts a relayed viewer off like any other.
func TestAHouseTakesStreamsFromPumpsOfAnAuthorityOfTheirOwn(t *testing.T) {
	port, dir := freePort(t), t.TempDir()
	private := certtest.NewAuthority(t, "private")
	cert, key := certtest.Write(t, dir, private.Issue(t, certtest.Spec{}))
	ca := certtest.WriteFile(t, dir, "private.pem", private.PEM())
	e := newRelayEstate(t, fmt.Sprintf("https://127.0.0.1:%d", port), fmt.Sprintf("relay: {viewers: 2, ca: %q}\n", ca))
	e.stream(`{"path": "studio", "type": "test_card"}`)
	w := newMemberWorld(t, fmt.Sprintf("streams: []\nssl: true\nssl_port: %d\nssl_key: %q\nssl_cert: %q\n", port, key, cert)+e.member())
	w.eventually("the house knows it", func() bool { return e.pump("ottawa").Delivers("studio") && e.pump("@test").Up() })
	v := e.by(e.Addr(), false, "studio?id=anna")
	v.packets(10)
	w.eventually("the house is a viewer of the pump, by TLS", func() bool { return e.pump("ottawa").Report().Viewers == 1 })
	w.eventually("the viewer is known", func() bool { return len(e.Fleet().ByClient("anna")) == 1 })
}

// A file of authorities that holds none ends the start, by name.
func TestAHouseWithoutAuthoritiesInItsFileDoesNotStart(t *testing.T) {
	dir := t.TempDir()
	certtest.WriteFile(t, dir, "empty.pem", []byte("nothing\n"))
	file := certtest.WriteFile(t, dir, "house.yaml", []byte("listen: ['127.0.0.1:0']\nssl_listen: ['127.0.0.1:0']\ndata: data\nstreams: []\nrelay: {ca: empty.pem}\n"))
	cfg, err := config.LoadHouse(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	h, err := house.Start(t.Context(), cfg, house.Options{Embed: embedded})
	if err == nil {
		h.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "relay.ca") || !strings.Contains(err.Error(), filepath.Join(dir, "empty.pem")) {
		t.Errorf("started with a file without authorities: %v", err)
	}
}
