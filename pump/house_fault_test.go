package pump

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/registry"
)

// A pump with a wrong key serves what its own file says, is told so, and the key is in no log
// of either side; once it is right, the house takes it.
func TestAWrongKey(t *testing.T) {
	e := newEstate(t, ottawa, houseCard)
	const wrong = "a wrong key of ottawa"
	w := newMemberWorld(t, strings.Replace(e.member(), houseKey, wrong, 1)+"streams: [{path: own, type: test_card}]\n")
	w.awaitLive("own")
	w.eventually("the refusal is logged on both sides", func() bool {
		return strings.Contains(w.log.String(), "the key is not that of ottawa") && strings.Contains(e.log.String(), "a pump was refused")
	})
	if w.registry.Lookup("card") != nil || e.pump("ottawa").Up() {
		t.Error("it is in the fleet")
	}
	if err := e.Registry().SetKey(t.Context(), "ottawa", wrong); err != nil {
		t.Fatal(err)
	}
	w.awaitLive("card")
	if strings.Contains(w.log.String()+e.log.String(), wrong) {
		t.Error("the key is in a log")
	}
}

// Of two pumps with one id the last one counts; the other one says so, and goes on serving.
func TestAnIdInTwoPumps(t *testing.T) {
	e := newEstate(t, ottawa, houseCard)
	first := newMemberWorld(t, e.member())
	first.awaitLive("card")
	v := first.play("card")
	v.packets(1)
	second := newMemberWorld(t, strings.Replace(e.member(), "/cache}", "/other}", 1))
	second.awaitLive("card")
	first.eventually("the first one is told", func() bool { return strings.Contains(first.log.String(), "the same house.id") })
	v.packets(2)
	if text := first.ask(http.MethodGet, "/metrics"); !bytes.Contains(text.body, []byte("stream_pump_house_up")) {
		t.Error("no metric of the house")
	}
}

// A new pump joins with an invite, is known by its certificate afterwards, also after a
// restart without the invite, and renews it.
func TestAPumpJoinsWithAnInvite(t *testing.T) {
	e := newEstate(t, `[{"id": "ottawa"}]`, houseCard+"certificates: {valid: 1h}\n")
	invite, err := e.Steering().Invite(t.Context(), "ottawa", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	alone := strings.Replace(e.memberWith("invite: "+invite), ", ca: "+filepath.Join(e.dir, "ca.pem"), "", 1) // the invite names the authority
	w := newMemberWorld(t, alone)
	w.awaitLive("card")
	w.eventually("it is known by its certificate", func() bool { return len(e.Registry().State().Certificates) == 1 && e.pump("ottawa").Up() })
	if info, err := os.Stat(filepath.Join(e.dir, "cache", identityFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the certificate's file: %v, %v", info, err)
	}
	stop(t, w)
	w.eventually("the house knows that it ended", func() bool { return !e.pump("ottawa").Up() })
	again := newMemberWorld(t, strings.Replace(alone, "invite: "+invite+",", "", 1))
	again.eventually("it is known without the invite", func() bool { return e.pump("ottawa").Up() })
	for serial := range e.Registry().State().Certificates {
		if err := e.Registry().Revoke(t.Context(), serial); err != nil {
			t.Fatal(err)
		}
	}
	again.eventually("a revoked certificate is refused", func() bool {
		return strings.Contains(again.log.String(), "the house refuses this pump") && !e.pump("ottawa").Up()
	})
	again.play("card").packets(2)
	if strings.Contains(w.log.String()+again.log.String()+e.log.String(), invite) {
		t.Error("the invite is in a log")
	}
}

// Certificates of nine seconds: each is renewed when two thirds of its time are over, which leaves a slow machine three, for
// another key, and the pump is known by the new one.
func TestACertificateIsRenewed(t *testing.T) {
	e := newEstateWith(t, `[{"id": "ottawa"}]`, houseCard, func(c *config.House) { c.Certificates.Valid = config.Duration(9 * time.Second) })
	answer, err := e.Steering().Invite(t.Context(), "ottawa", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	w := newMemberWorld(t, e.memberWith("invite: "+answer))
	w.eventually("it is known", func() bool { return e.pump("ottawa").Up() })
	before, err := w.member.cache.Identity()
	if err != nil || before.Certificate == "" {
		t.Fatalf("kept %v, %v", before.Certificate != "", err)
	}
	w.eventually("another one is kept", func() bool {
		who, err := w.member.cache.Identity()
		return err == nil && who.Certificate != before.Certificate && who.Key != before.Key
	})
	w.eventually("the house has given out more of them, and knows the pump", func() bool {
		return len(e.Registry().State().Certificates) >= 3 && e.pump("ottawa").Up() && w.member.client.House() != ""
	})
	if strings.Contains(w.log.String(), "refuses") {
		t.Error("it was refused in between")
	}
}

// An invite is not used up as long as what comes of it cannot be kept.
func TestAnInviteIsNotWasted(t *testing.T) {
	e := newEstate(t, `[{"id": "ottawa"}]`, houseCard)
	invite, err := e.Steering().Invite(t.Context(), "ottawa", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	e.write("cache", "a file where a folder should be")
	w := newMemberWorld(t, e.memberWith("invite: "+invite))
	w.eventually("it complains", func() bool { return strings.Contains(w.log.String(), "the invite is not used") })
	if len(e.Registry().State().Certificates) != 0 {
		t.Error("the invite is used up")
	}
	if err := os.Remove(filepath.Join(e.dir, "cache")); err != nil {
		t.Fatal(err)
	}
	w.awaitLive("card")
}

// A cache that is damaged is told of and left aside; the house says it all again.
func TestACacheThatIsDamaged(t *testing.T) {
	whole := func() []byte {
		c := fleet.Config{Pump: "ottawa", Settings: []byte(`{"streams":[{"path":"card","type":"test_card"}]}`)}
		c.Seal()
		dir := t.TempDir()
		if err := (houseCache{dir}).KeepConfig(c); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, configFile))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}()
	for name, text := range map[string][]byte{
		"cut in half":      whole[:len(whole)/2],
		"one byte differs": bytes.Replace(whole, []byte("card"), []byte("cart"), 1),
		"zeros":            make([]byte, len(whole)),
	} {
		t.Run(name, func(t *testing.T) {
			e := newEstate(t, ottawa, houseCard)
			if err := os.Mkdir(filepath.Join(e.dir, "cache"), 0o700); err != nil {
				t.Fatal(err)
			}
			e.write(filepath.Join("cache", configFile), string(text))
			w := newMemberWorld(t, e.member())
			if !strings.Contains(w.log.String(), "is damaged") {
				t.Error("the log does not say so")
			}
			w.awaitLive("card")
			w.eventually("it is kept anew", func() bool { _, ok, err := w.member.cache.Config("ottawa"); return ok && err == nil })
		})
	}
	t.Run("another pump's", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, configFile), whole, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := (houseCache{dir}).Config("calgary"); ok || err != nil {
			t.Errorf("taken: %t, %v", ok, err)
		}
	})
	t.Run("an identity that is damaged", func(t *testing.T) {
		e := newEstate(t, ottawa, houseCard)
		if err := os.Mkdir(filepath.Join(e.dir, "cache"), 0o700); err != nil {
			t.Fatal(err)
		}
		e.write(filepath.Join("cache", identityFile), `{"key": "-----BEGIN PRIV`)
		w := newMemberWorld(t, e.member()) // it has a key too
		w.awaitLive("card")
		if !strings.Contains(w.log.String(), "the pump's certificate is lost") || strings.Contains(w.log.String(), "BEGIN PRIV") {
			t.Error("the log does not say so, or says too much")
		}
	})
}

// What the house wants is checked like a file: when it is wrong, the pump stays as it was and
// tells the house why. Streams of the pump's own file stay.
func TestWhatCannotBe(t *testing.T) {
	e := newEstate(t, ottawa, houseCard)
	w := newMemberWorld(t, e.member()+"streams: [{path: mine, type: test_card, name: Mine}]\n")
	w.awaitLive("card")
	v := w.play("mine")
	v.packets(1)
	e.stream(`{"path": "file", "type": "file_loop", "file": "not-there.asf"}`)
	w.eventually("the house is told why not", func() bool {
		return strings.Contains(e.pump("ottawa").Report().State.ConfigFault, "not-there.asf")
	})
	w.play("card").packets(1)
	if err := e.Registry().DeleteStream(t.Context(), "file", 0); err != nil {
		t.Fatal(err)
	}
	w.eventually("the fault is over", func() bool { return e.pump("ottawa").Report().State.ConfigFault == "" })
	e.stream(`{"path": "mine", "type": "test_card", "name": "Theirs"}`)
	w.eventually("the house is told whose stream it is", func() bool {
		return strings.Contains(strings.Join(e.pump("ottawa").Report().State.Faults, " "), "stream mine")
	})
	if name := w.registry.Lookup("mine").Name(); name != "Mine" {
		t.Errorf("the stream is that of %s", name)
	}
	v.packets(1)
	w.rewrite(e.member() + "limits: {viewers_per_address: 50}\nstreams: [{path: mine, type: test_card, name: Mine}, {path: more, type: test_card}]\n")
	if _, err := w.ReloadFile(false); err != nil {
		t.Fatal(err)
	}
	w.awaitLive("more")
	w.play("card").packets(1)
}

// An invite that the house has not made lets nobody in.
func TestAnInviteThatNeverWas(t *testing.T) {
	e := newEstate(t, ottawa, houseCard)
	w := newMemberWorld(t, e.memberWith("invite: "+fleet.NewInvite("ottawa", e.Registry().State().Authority.Certificate()).String()))
	w.eventually("an invite that never was is refused", func() bool { return strings.Contains(w.log.String(), registry.ErrInvite.Error()) })
	if w.registry.Lookup("card") != nil {
		t.Error("it is in the fleet")
	}
}
