package pump

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/house"
	"github.com/stream-pump/stream-pump/house/relay"
	"github.com/stream-pump/stream-pump/mmsh"
)

// embedded starts a pump within a house, as the program does.
func embedded(e house.Embedding) (relay.Pump, error) {
	return StartInside(Inside{ID: e.ID, Dial: e.Dial, Roots: e.Roots, Log: e.Log, Version: e.Version})
}

// newRelayEstate is a house with a pump within it, and one on its roster at this address.
func newRelayEstate(t testing.TB, url, settings string) *estate {
	t.Helper()
	roster := fmt.Sprintf(`[{"id": "ottawa", "key": %q, "url": %q, "networks": ["127.0.0.0/8"]}]`, houseKey, url)
	return newEstateOf(t, roster, settings, func(e *estate) { e.embed = embedded })
}

// certificateOf writes key and certificate of the house's own authority for a server on this machine, and returns what a
// pump's configuration says of them.
func (e *estate) certificateOf(port int) string {
	e.Helper()
	cert, err := e.Registry().State().Authority.Server([]string{"127.0.0.1"}, time.Now())
	if err != nil {
		e.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		e.Fatal(err)
	}
	e.write("pump.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})))
	e.write("pump.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	return fmt.Sprintf("ssl: true\nssl_port: %d\nssl_key: %s\nssl_cert: %s\n", port, filepath.Join(e.dir, "pump.key"), filepath.Join(e.dir, "pump.pem"))
}

// by plays a stream by way of the house, as players do that follow no redirect.
func (e *estate) by(door net.Addr, secure bool, path string) *viewer {
	e.Helper()
	conn, err := net.Dial("tcp", door.String())
	if err != nil {
		e.Fatal(err)
	}
	if secure {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	return playOn(e.TB, conn, path, mmsh.AgentOld)
}

// standing is what a program has that does not go away by itself.
type standing struct{ goroutines, files int }

func stands(t testing.TB) standing {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc here")
	}
	return standing{runtime.NumGoroutine(), len(list)}
}

// A pump that is behind TLS with a certificate of the house's own authority gives the stream to the house once; viewers at
// both doors of the house play it; and when they have left, all that was taken for them is given back.
func TestAHouseServesViewersByAPumpWithinIt(t *testing.T) {
	port := freePort(t)
	e := newRelayEstate(t, fmt.Sprintf("https://127.0.0.1:%d", port), "relay: {viewers: 2, linger: 1s}\n")
	e.stream(`{"path": "Studio", "type": "test_card"}`)
	w := newMemberWorld(t, "streams: []\n"+e.certificateOf(port)+e.member())
	w.awaitLive("studio")
	w.eventually("the house knows it", func() bool { return e.pump("ottawa").Delivers("studio") })
	own := e.pump("@test")
	w.eventually("the pump within the house is heard", own.Up)

	round := func() {
		plain, veiled := e.by(e.Addr(), false, "studio?id=anna"), e.by(e.TLSAddr(), true, "studio?id=ben")
		plain.packets(20)
		veiled.packets(20)
		w.eventually("the house sees both, the pump sees the house", func() bool {
			return own.Report().Viewers == 2 && e.pump("ottawa").Report().Viewers == 1 && len(e.Fleet().ByClient("ben")) == 1
		})
		if v := e.Fleet().ByClient("ben")[0]; v.Pump != "@test" || !v.TLS || v.Stream != "Studio" {
			t.Errorf("ben is seen as %+v", v)
		}
		late := e.by(e.Addr(), false, "studio?id=late")
		if late.status != 503 {
			t.Errorf("one too many: %d", late.status)
		}
		_ = late.conn.Close()
		if f := e.Delegator().Figures(); f.Relaying != 2 || f.RelayFull == 0 || f.RelayBPS == 0 {
			t.Errorf("counted %+v", f)
		}
		_ = plain.conn.Close()
		_ = veiled.conn.Close()
		w.eventually("the stream is let go", func() bool {
			return len(own.Report().Streams) == 0 && e.pump("ottawa").Report().Viewers == 0 && e.Delegator().Figures().Relaying == 0
		})
	}
	round() // what is made once stays
	before := stands(t)
	for range 2 {
		round()
	}
	w.eventually("goroutines and files are given back", func() bool {
		now := stands(t)
		return now.goroutines <= before.goroutines+2 && now.files <= before.files // connections between the two come and go
	})
	if log := e.log.String(); !strings.Contains(log, "too many players that follow no redirect") {
		t.Error("the log does not say why somebody was refused")
	}
}

// Limits may change while the house runs; what is in force is the pump's own limit, too.
func TestAReloadChangesHowManyTheHouseServes(t *testing.T) {
	e := newRelayEstate(t, "", "relay: {viewers: 0, linger: 1s}\n")
	e.stream(`{"path": "Studio", "type": "test_card"}`)
	w := newMemberWorld(t, "streams: []\n"+e.member())
	w.awaitLive("studio")
	w.eventually("the house knows it", func() bool { return e.pump("ottawa").Delivers("studio") })
	if v := e.by(e.Addr(), false, "studio"); v.status != 302 {
		t.Errorf("with no viewers allowed: %d", v.status)
	}
	e.write("house.yaml", strings.Replace(e.text(), "viewers: 0", "viewers: 3", 1))
	if err := e.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.by(e.Addr(), false, "studio").packets(5)
	w.eventually("the limit is told", func() bool { return e.pump("@test").Report().ViewersMax == 3 })
}

func (e *estate) text() string {
	e.Helper()
	text, err := os.ReadFile(filepath.Join(e.dir, "house.yaml"))
	if err != nil {
		e.Fatal(err)
	}
	return string(text)
}

func TestAPumpWithinAHouseNeedsAWayToIt(t *testing.T) {
	if _, err := StartInside(Inside{ID: "@house"}); err == nil {
		t.Error("it starts without one")
	}
}
