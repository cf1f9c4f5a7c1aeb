package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMembership(t *testing.T) {
	c, err := Parse("pump.yaml", []byte("house: {url: 'https://house.example.org:8091/', id: 7, key: secret of seven}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !c.House.On() || c.House.URL[0] != "https://house.example.org:8091" || c.House.ID != "7" || c.House.Key != "secret of seven" || c.House.Cache != "house" || len(c.Streams) != 0 {
		t.Errorf("house %+v, streams %v", c.House, c.Streams)
	}
	c, err = Parse("pump.yaml", []byte("streams: []\n"), []string{"STREAM_PUMP_HOUSE_URL=https://a:1,https://b:1", "STREAM_PUMP_HOUSE_ID=ottawa", "STREAM_PUMP_HOUSE_KEY=k"})
	if err != nil || len(c.House.URL) != 2 || c.House.Key != "k" {
		t.Errorf("from the environment: %+v, %v", c.House, err)
	}
	for name, text := range map[string]string{
		"http to this machine": "house: {url: 'http://localhost:8090', id: a, key: k, insecure: true}",
		"by address":           "house: {url: 'http://[::1]:8090', id: a, key: k, insecure: true}",
		"with an invite":       "house: {url: 'https://h', id: a, invite: ph1.YQ.AAAAAAAAAAAAAAAAAAAAAA}",
		"without either":       "house: {url: 'https://h', id: a}", // it has a certificate
	} {
		if _, err := Parse("pump.yaml", []byte(text), nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatIsWrongWithAHouse(t *testing.T) {
	const secret = "correct-horse-battery"
	for text, want := range map[string]string{
		"house: {url: 'http://house.example.org', id: a, key: " + secret + ", insecure: true}": "1:14: house.url \"http://house.example.org\" would send the key where others can read it (https",
		"house: {url: 'http://localhost', id: a, key: " + secret + "}":                         "is without TLS (https, or insecure: true",
		"house: {url: 'ftp://house', id: a}":                                                   "no address of a house (as in https://",
		"house: {url: 'https://user:" + secret + "@house', id: a}":                             "\"https://***@house\" is no address of a house",
		"house: {url: 'https://house'}":                                                        "house.id is missing (the id of this pump in the roster)",
		"house: {url: 'https://house', id: 'a b'}":                                             "house.id \"a b\" is no id of a pump",
		"house: {url: 'https://house', id: a, invite: " + secret + "}":                         "house.invite is no invite (what pump-house invite -id ID prints, whole)",
		"house: {url: 'https://house', id: a, cache: ''}":                                      "house.cache is empty",
		"streams: []\nhouse: {id: a, key: " + secret + "}":                                     "2:13: house.id needs house.url",
		"streams: []\nhouse: {key: " + secret + "}":                                            "house.key needs house.url",
		"house: {url: 'https://house', id: a, kee: " + secret + "}":                            "unknown key \"kee\"",
		"house: {id: a}": "house.id needs house.url",
	} {
		_, err := Parse("pump.yaml", []byte(text), nil)
		var problems Problems
		if !errors.As(err, &problems) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n%v\nwant %s", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the secret is shown: %v", text, err)
		}
	}
}

func TestSecretsOfAHouseAreHidden(t *testing.T) {
	c, err := Parse("pump.yaml", []byte("house: {url: 'https://house', id: a, key: secret-key, invite: ph1.secret-invite}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(c.YAML(true)); strings.Contains(text, "secret-") || !strings.Contains(text, "key: \"***\"") {
		t.Errorf("shown:\n%s", text)
	}
	again, err := Parse("pump.yaml", c.YAML(false), nil)
	if err != nil || again.House.Key != c.House.Key || again.House.Invite != c.House.Invite {
		t.Errorf("read back: %+v, %v", again.House, err)
	}
	other := *c
	other.House.Key = "another secret-key"
	d := Diff(c, &other).Changes()
	if len(d) != 1 || strings.Contains(d[0].String(), "secret") || d[0].Effect != EffectLive {
		t.Errorf("difference %v", d)
	}
}

const ownFile = `
limits: {viewers: 10, viewers_per_address: 3}
signing: {keys: [{name: own, secret: 0123456789abcdef}, {name: both, secret: 0123456789abcdef}]}
streams:
  - {path: mine, type: test_card, name: Mine}
  - {path: off, type: test_card, enabled: false}
`

var settingsOfHouses = []string{"streams", "limits", "signing", "id_parameter"}

func TestWhatAHouseWantsIsLaidOver(t *testing.T) {
	own, err := Parse("folder/pump.yaml", []byte(ownFile), nil)
	if err != nil {
		t.Fatal(err)
	}
	before := string(own.YAML(false))
	over, shadowed, err := own.overlay("house", []byte(`{"streams":[{"path":"theirs","type":"file_loop","file":"a.asf"},{"path":"Mine","type":"test_card","name":"Theirs"},{"path":"off","type":"test_card"}],
"limits":{"viewers":300},"signing":{"keys":[{"name":"both","secret":"fedcba9876543210"}]},"id_parameter":"who"}`), settingsOfHouses, func(string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range over.Streams {
		if s.Enabled {
			names = append(names, s.Path+" "+s.Name)
		}
	}
	if got, want := strings.Join(names, ", "), "mine Mine, theirs theirs, off off"; got != want {
		t.Errorf("streams %s, want %s", got, want)
	}
	if len(shadowed) != 1 || shadowed[0] != "Mine" {
		t.Errorf("shadowed %v", shadowed)
	}
	if over.Limits.Viewers != 300 || over.Limits.ViewersPerAddress != 3 || over.IDParameter != "who" {
		t.Errorf("limits %+v, id_parameter %s", over.Limits, over.IDParameter)
	}
	if k := over.Signing.Keys; len(k) != 2 || k[0].Secret != "fedcba9876543210" || k[1].Name != "own" {
		t.Errorf("keys %+v", k)
	}
	if file := over.Streams[2].File; file != filepath.Join("folder", "a.asf") {
		t.Errorf("file %s", file)
	}
	if string(own.YAML(false)) != before {
		t.Error("the pump's own configuration was changed")
	}
	if over, _, err = own.overlay("house", []byte(`{"streams":[]}`), settingsOfHouses, nil); err != nil || over.Limits.Viewers != 10 || len(over.Streams) != 2 {
		t.Errorf("what the house takes back: %+v, %v", over, err)
	}
}

func TestWhatAHouseMayNotWant(t *testing.T) {
	own, err := Parse("pump.yaml", []byte(ownFile), nil)
	if err != nil {
		t.Fatal(err)
	}
	for settings, want := range map[string]string{
		`{"streams":[],"admin":{"listen":"0.0.0.0:1"}}`:                                 `key "admin" is not for a house to say (one of streams, limits, signing, id_parameter)`,
		`{"streams":[{"path":"a","type":"magic"}]}`:                                     `unknown type "magic"`,
		`{"streams":[{"path":"a","type":"test_card","lag":{"max":"10h"}}]}`:             "out of range",
		`{"streams":[{"path":"a","type":"file_loop","file":"nowhere.asf"}]}`:            `"nowhere.asf" cannot be used`,
		`{"streams":[{"path":"a","type":"test_card"}`:                                   "house:1:",
		`{"streams":[{"path":"a","type":"test_card","lag":{"max":"9m"}}]}`:              "longer than ring.duration",
		`{"streams":[{"path":"a","type":"test_card"},{"path":"A","type":"test_card"}]}`: "is taken",
		`[]`: "a configuration is a mapping",
		``:   "the file is empty",
	} {
		over, _, err := own.Overlay("house", []byte(settings), settingsOfHouses)
		if err == nil || over != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", settings, err, want)
		}
	}
}

// Whatever a house says: it is refused with its problems, or what comes of it is right.
func FuzzOverlay(f *testing.F) {
	own, err := Parse("pump.yaml", []byte(ownFile), nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{
		`{"streams":[{"path":"a","type":"mmsh_pull","sources":[{"type":"mmsh_pull","url":"mmsh://192.0.2.1/streams/a"}]}],"limits":{"viewers":300,"bandwidth":"200M"}}`,
		`{"streams":[{"path":"mine","type":"test_card","play":{"signed":true}}],"signing":{"keys":[{"name":"k","secret":"0123456789abcdef"}]},"id_parameter":"id"}`,
		`{"streams":[{"path":"a","type":"mmsh_push","publish":{"user":"u","password":"p"}}]}`,
		`{"admin":{}}`, `{`, `[]`, "streams:\n- &a {path: a, type: test_card}\n- *a\n", "limits: {viewers: -1}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, settings []byte) {
		over, _, err := own.overlay("house", settings, settingsOfHouses, func(string) error { return os.ErrNotExist })
		if err != nil {
			var problems Problems
			if !errors.As(err, &problems) || len(problems) == 0 {
				t.Fatalf("the error is %v", err)
			}
			return
		}
		if _, err := Parse("pump.yaml", over.YAML(false), nil); err != nil {
			t.Fatalf("what came of it is wrong: %v\n%s", err, over.YAML(false))
		}
	})
}
