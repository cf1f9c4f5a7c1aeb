package pump

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stream-pump/stream-pump/internal/certtest"
)

// A reload tells a pump of another way to its house, another key and another authority. Who watches notices nothing, the
// pump stays the same run of itself, and what cannot be read changes nothing.
func TestTheWayToTheHouseChangesByReload(t *testing.T) {
	e := newEstate(t, ottawa, houseCard)
	way := newWireTo(t, e.at)
	byWay := strings.Replace(e.member(), e.at, way.at, 1)
	w := newMemberWorld(t, byWay)
	w.awaitLive("card")
	known := func(what string) {
		t.Helper()
		w.eventually(what, func() bool {
			return e.pump("ottawa").Up() && e.pump("ottawa").Delivers("card") && w.member.client.House() == "test"
		})
	}
	known("the house knows the pump")
	boot := e.pump("ottawa").Report().Boot
	v := w.play("card?id=alice")
	v.packets(1)
	w.eventually("the viewer is reported", func() bool { return len(e.Fleet().ByClient("alice")) == 1 })

	reload := func(text string) (ReloadInfo, error) {
		w.rewrite(text)
		return w.ReloadFile(false)
	}
	info, err := reload(e.member())
	if err != nil || len(info.NeedsRestart) != 0 || info.Disturbed != 0 {
		t.Fatalf("another address: %+v, %v", info, err)
	}
	if !slices.ContainsFunc(info.Changes, func(c ChangeInfo) bool { return c.Key == "house.url" && c.Effect == "live" }) {
		t.Errorf("%+v", info.Changes)
	}
	way.cut() // nothing depends on the old way any more
	known("it is known by the new way")

	if err := e.Registry().SetKey(t.Context(), "ottawa", "another key of ottawa"); err != nil {
		t.Fatal(err)
	}
	w.eventually("the old key is refused", func() bool { return strings.Contains(w.log.String(), "the house refuses this pump") })
	pem, err := os.ReadFile(filepath.Join(e.dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	e.write("other.pem", string(pem))
	changed := strings.Replace(e.memberWith("key: another key of ottawa"), "/ca.pem", "/other.pem", 1)
	if info, err = reload(changed); err != nil {
		t.Fatalf("another key and another file of authorities: %+v, %v", info, err)
	}
	known("it is known with the new key")
	if strings.Contains(w.log.String(), "another key of ottawa") {
		t.Error("the key is in the log")
	}

	ways := func() int { return strings.Count(w.log.String(), "the house is reached another way from now on") }
	if _, err := reload(changed); err != nil || ways() != 2 {
		t.Errorf("the same again: %v, %d other ways in all", err, ways())
	}
	e.write("other.pem", string(pem)+string(certtest.NewAuthority(t, "another").PEM()))
	if _, err := reload(changed); err != nil {
		t.Fatalf("one authority more in the same file: %v", err)
	}
	w.eventually("the file is read again", func() bool { return ways() == 3 })
	known("it is known as before, with an authority more")

	nowhere := strings.Replace(changed, "/other.pem", "/nowhere.pem", 1)
	for what, do := range map[string]func() error{
		"a reload":     func() error { _, err := reload(nowhere); return err },
		"a comparison": func() error { _, err := w.Compare(parse(t, local+nowhere)); return err },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), "house.ca") {
			t.Errorf("%s with a file that is not there: %v", what, err)
		}
	}
	if info, err := reload("streams: []\n"); !errors.Is(err, ErrNeedsRestart) || !slices.Contains(info.NeedsRestart, "house.url") {
		t.Errorf("without the house: %+v, %v", info, err)
	}
	known("it is known as before")
	v.packets(3)
	if r := e.pump("ottawa").Report(); r.Boot != boot || len(e.Fleet().ByClient("alice")) != 1 {
		t.Errorf("boot %s, was %s; %d viewers", r.Boot, boot, len(e.Fleet().ByClient("alice")))
	}
}
