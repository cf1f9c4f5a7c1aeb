package config

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestHouseExampleIsTheDefault(t *testing.T) {
	file, data := example(t, "pump-house.yaml")
	h, err := LoadHouse(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultHouse()
	want.Data = filepath.Join("..", "examples", want.Data)
	if got, want := h.YAML(false), want.YAML(false); !bytes.Equal(got, want) {
		t.Errorf("examples/pump-house.yaml is not the default:\n%s\nbut\n%s", want, got)
	}
	d := newDecoderOf(file, &houseForm)
	root := d.tree(file, data)
	for _, name := range HouseEnvNames() {
		n := root
		keys := keysOfEnv(reflect.TypeFor[House](), strings.TrimPrefix(name, HouseEnvPrefix))
		for _, k := range keys {
			if n = n.get(k); n == nil {
				t.Errorf("examples/pump-house.yaml does not mention %s", strings.Join(keys, "."))
				break
			}
		}
	}
}

// The commented examples within the example are right too.
func TestHouseExampleComments(t *testing.T) {
	_, data := example(t, "pump-house.yaml")
	hash := "$2b$10$" + strings.Repeat("a", 53)
	found := 0
	for _, key := range []string{"users", "webhooks", "streams", "nats", "signing"} {
		_, rest, ok := bytes.Cut(data, []byte("#   "+key+":\n"))
		if !ok {
			continue
		}
		text := key + ":\n"
		for line := range strings.Lines(string(rest)) {
			line, inside := strings.CutPrefix(line, "#   ")
			if !inside {
				break
			}
			text += line
		}
		text = strings.ReplaceAll(text, "$2b$10$…", hash)
		if _, err := ParseHouse("example.yaml", []byte(text), nil); err != nil {
			t.Errorf("%s\n%v", text, err)
		}
		found++
	}
	if found != 5 {
		t.Errorf("%d examples, want 5", found)
	}
}

func TestHouseYAMLIsReadBack(t *testing.T) {
	text := `
name: east
listen: [":8090", "[::1]:9000"]
ssl_names: [house.example.org, 192.0.2.1]
data: /var/lib/pump-house
trusted_proxies: [10.0.0.0/8]
relay: {viewers: 20, bandwidth: 200 Mbit/s}
metrics: {allow: 127.0.0.1}
nats: {urls: ["tls://a:4222", "nats://b:4222"], user: u, password: hush, replicas: 3}
users: [{name: anna, password_hash: "$2b$10$` + strings.Repeat("a", 53) + `", role: steer}]
webhooks: [{url: "https://example.org/hook?token=hush", secret: hush, events: [pump_up]}]
streams:
  - {path: studio, type: mmsh_push, publish: {user: u, password: hush}}
`
	h, err := ParseHouse("/etc/house.yaml", []byte(text), []string{"PUMP_HOUSE_LOG_LEVEL=debug", "PUMP_HOUSE_WEBHOOKS_0_SECRET=quiet", "STREAM_PUMP_PORT=1"})
	if err != nil {
		t.Fatal(err)
	}
	if h.Log.Level != "debug" || h.Webhooks[0].Secret != "quiet" || h.Relay.Bandwidth != 200e6 || h.Users[0].Role != RoleSteer {
		t.Errorf("%s", h.YAML(false))
	}
	again, err := ParseHouse("/etc/house.yaml", h.YAML(false), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.YAML(false), h.YAML(false)) {
		t.Errorf("%s\nbecame\n%s", h.YAML(false), again.YAML(false))
	}
	if shown := h.YAML(true); bytes.Contains(shown, []byte("hush")) || bytes.Contains(shown, []byte("quiet")) || bytes.Contains(shown, []byte("aaaa")) {
		t.Errorf("a secret is shown:\n%s", shown)
	}
}

// The configuration that came with the 2011 program, in its own spelling.
const house2011 = `{
  /* Where the pumps are written down. */
  "pumps_roster_json":"pumps.json", // beside this file

  port: 8099,
  streams: [
      {
	  name: "Test Pull Video Source",
	  enabled: true,
	  type: "mmsh_pull",
	  source_options: {host: "198.51.100.7", port: "8080", path: "/streams/hello"},
	  path: "pulled_video"
      },
  ]
}
`

func TestHouseOf2011(t *testing.T) {
	for _, name := range []string{"house.json", "house"} {
		h, err := ParseHouse("/etc/"+name, []byte(house2011), nil)
		if err != nil {
			t.Fatal(err)
		}
		if h.Port != 8099 || h.PumpsRosterJSON != "/etc/pumps.json" || len(h.Streams) != 1 || h.Streams[0].SourceOptions.Port != 8080 {
			t.Errorf("%s", h.YAML(false))
		}
	}
}

func TestHouseFilesMustExist(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "house.yaml")
	if err := os.WriteFile(file, []byte("pumps_roster_json: pumps.json\nssl_key: a.key\nssl_cert: a.pem\nstreams: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := LoadHouse(file, nil)
	want := []string{":1:20: pumps_roster_json", ":2:10: ssl_key", ":3:11: ssl_cert"}
	for _, w := range want {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("no %q in:\n%v", w, err)
		}
	}
	if _, err := LoadHouse(filepath.Join(dir, "none.yaml"), nil); err == nil {
		t.Error("a file that is not there is read")
	}
}

func TestHouseAddresses(t *testing.T) {
	h := DefaultHouse()
	if got := h.ListenAddresses(); !reflect.DeepEqual(got, []string{":8090"}) {
		t.Error(got)
	}
	if got := h.SSLAddresses(); !reflect.DeepEqual(got, []string{":8091"}) {
		t.Error(got)
	}
	h.SSL = false
	if got := h.SSLAddresses(); got != nil {
		t.Error(got)
	}
	if h.Telemetry.DeadAfter.D() > 3*time.Second {
		t.Error("a dead pump has to be found within 3 s")
	}
}
