package config

import (
	"reflect"
	"strings"
	"testing"
)

// accessText says everything that lets in; "geheim" is in each secret.
const accessText = `
ssl: true
ssl_key: a
ssl_cert: b
ssl_client_ca: c
id_parameter: viewer
signing: {keys: [{name: may, secret: geheimgeheimgeheim}, {name: june, secret: geheimgeheimgeheim2}]}
hook:
  secret: geheimgeheimgeheim
  on_publish: {url: "https://geheim:geheim@hook.example/?token=geheim", fail: open, cache: 1s}
  on_play: {url: "http://127.0.0.1:9000/", timeout: 500ms}
streams:
  - type: mmsh_push
    path: a
    publish:
      user: jo
      password: geheim
      users:
        - {name: mo, password: geheim}
        - {name: bc, password_hash: "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"}
        - {name: ha, ha1: 0123456789ABCDEF0123456789abcdef}
      tokens: [{name: obs, token: geheimgeheimgeheim}]
      certificates: [Camera 1, "*", "SHA256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"]
      allow: [10.0.0.0/8, "2001:db8::/32"]
    play: {users: [{name: al, password: geheim}], signed: true, allow_basic: true, allow: [0.0.0.0/0], deny: [192.0.2.1]}
`

func TestAccessSettings(t *testing.T) {
	c := mustParse(t, "a.yaml", accessText)
	s := c.Streams[0]
	if len(c.Signing.Keys) != 2 || c.IDParameter != "viewer" || len(s.Publish.Users) != 3 || s.Publish.Users[2].HA1 != "0123456789abcdef0123456789abcdef" ||
		len(s.Publish.Certificates) != 3 || len(s.Publish.Allow) != 2 || !s.Play.Signed || len(s.Play.Deny) != 1 {
		t.Errorf("%s", c.YAML(false))
	}
	if q := c.Hook.OnPlay; q.Fail != FailClosed || q.Cache != defaultHook().OnPlay.Cache || c.Hook.OnPublish.Fail != FailOpen {
		t.Errorf("%+v", c.Hook)
	}
	if again := mustParse(t, "a.yaml", string(c.YAML(false))); !reflect.DeepEqual(c, again) {
		t.Errorf("%s\ncame back as\n%s", c.YAML(false), again.YAML(false))
	}
}

// No secret is printed, and what is printed in their place is none that would be taken.
func TestAccessHidesSecrets(t *testing.T) {
	c := mustParse(t, "a.yaml", accessText)
	shown := string(c.YAML(true))
	for _, secret := range []string{"geheim", "$2b$", "0123456789abcdef"} {
		if strings.Contains(shown, secret) {
			t.Errorf("%s stands in\n%s", secret, shown)
		}
	}
	_, err := Parse("a.yaml", []byte(shown), nil)
	if err == nil || strings.Count(err.Error(), "***") > 0 {
		t.Errorf("%v", err)
	}
	d := Diff(c, mustParse(t, "a.yaml", strings.NewReplacer("geheim", "anderesgeheim", "N9qo8", "N9qo9", "name: mo", "name: max").Replace(accessText)))
	for _, x := range d.Changes() {
		if strings.Contains(x.String(), "geheim") || strings.Contains(x.String(), "$2b$") || x.Effect != EffectLive {
			t.Errorf("%s: %s", x, x.Effect)
		}
	}
	if s := d.Changed[0].Changes[1].String(); s != "stream a publish.users: [mo, bc, ha] → [max, bc, ha]" {
		t.Error(s)
	}
}

// Secrets come from the environment, to names that stand in the file.
func TestAccessFromTheEnvironment(t *testing.T) {
	c, err := Parse("a.yaml", []byte(`
signing: {keys: [{name: may}]}
streams: [{type: mmsh_push, path: a, publish: {users: [{name: jo}], tokens: [{name: obs}]}}]
`), []string{
		"STREAM_PUMP_SIGNING_KEYS_0_SECRET=0123456789abcdef", "STREAM_PUMP_STREAMS_0_PUBLISH_USERS_0_PASSWORD=x",
		"STREAM_PUMP_STREAMS_0_PUBLISH_TOKENS_0_TOKEN=0123456789abcdef", "STREAM_PUMP_STREAMS_0_PLAY_DENY=10.0.0.0/8,192.0.2.1",
		"STREAM_PUMP_STREAMS_0_PUBLISH_CERTIFICATES=", "STREAM_PUMP_HOOK_ON_PLAY_FAIL=open",
	})
	if err != nil {
		t.Fatal(err)
	}
	s := c.Streams[0]
	if c.Signing.Keys[0].Secret == "" || s.Publish.Users[0].Password != "x" || s.Publish.Tokens[0].Token == "" || len(s.Play.Deny) != 2 || c.Hook.OnPlay.Fail != FailOpen {
		t.Errorf("%s", c.YAML(false))
	}
}
