package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func mustParse(t *testing.T, name, text string, env ...string) *Config {
	t.Helper()
	c, err := Parse(name, []byte(text), env)
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return c
}

func TestEnvironmentWins(t *testing.T) {
	c := mustParse(t, "a.yaml", `
port: 1000
streams:
  - &one {type: mmsh_push, path: one, publish: {user: u, password: p}}
  - <<: *one
    path: two
  - type: mmsh_pull
    path: three
    sources: [{host: h}]
`,
		"STREAM_PUMP_PORT=2000", "STREAM_PUMP_SSL=", "STREAM_PUMP_PULSE_MIN=20ms", "STREAM_PUMP_PULL_BACKOFF_MIN=2",
		"STREAM_PUMP_LISTEN=:1, [::1]:2", "STREAM_PUMP_ADMIN_LISTEN=off", "STREAM_PUMP_ADMIN_ALLOW=10.0.0.1,fd00::/8",
		"STREAM_PUMP_LIMITS_VIEWERS_PER_ADDRESS=7", "STREAM_PUMP_USE_PROXY_FOR_LOCAL_ADDRESSES=true",
		"STREAM_PUMP_STREAMS_1_PUBLISH_PASSWORD=123", "STREAM_PUMP_STREAMS_2_SOURCES_0_PORT=70",
		"STREAM_PUMP_STREAMS_0_HOLD=5s", "OTHER=x", "STREAM_PUMP_FIXTURES=x", "STREAM_PUMP_LOG_FORMAT=json",
	)
	got := []any{
		c.Port, c.Pulse.Min.D(), c.Pull.Backoff.Min.D(), strings.Join(c.Listen, " "), c.Admin.Listen, len(c.Admin.Allow),
		c.Limits.ViewersPerAddress, c.UseProxyForLocalAddresses, c.Log.Format,
		c.Streams[0].Publish.Password, c.Streams[1].Publish.Password, c.Streams[1].Path, c.Streams[2].Sources[0].Port, c.Streams[0].Hold.D(),
	}
	want := []any{
		2000, 20 * time.Millisecond, 2 * time.Second, ":1 [::1]:2", "", 2, 7, true, "json", "p", "123", "two", 70, 5 * time.Second,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// A Kubernetes service named stream-pump puts these into every pod.
func TestEnvironmentOfKubernetes(t *testing.T) {
	c := mustParse(t, "a.yaml", "streams: []",
		"STREAM_PUMP_SERVICE_HOST=10.0.0.1", "STREAM_PUMP_SERVICE_PORT=8086", "STREAM_PUMP_PORT=tcp://10.0.0.1:8086",
		"STREAM_PUMP_PORT_8086_TCP=tcp://10.0.0.1:8086", "STREAM_PUMP_PORT_8086_TCP_PROTO=tcp")
	if c.Port != Default().Port {
		t.Errorf("port %d", c.Port)
	}
}

func TestEveryEnvironmentNameIsASetting(t *testing.T) {
	names := EnvNames()
	if len(names) < 39 || !slices.Contains(names, "STREAM_PUMP_PULL_BACKOFF_MAX") {
		t.Fatalf("%d names: %v", len(names), names)
	}
	for _, name := range names {
		if rest := strings.TrimPrefix(name, envPrefix); keysOfEnv(reflect.TypeFor[Config](), rest) == nil || reserved(rest, "1") {
			t.Errorf("%s does not lead to a setting", name)
		}
	}
}

func TestSpellings(t *testing.T) {
	full := mustParse(t, "a.yaml", "admin: off\nlisten: 8080\nring: {bytes: 1M}\nstall: {timeout: 45}\nssl: no\nhttp_proxy_host: 10.1\nstreams:\n- {type: test_card, path: a, name: 2024}")
	if full.Admin.Listen != "" || full.Listen[0] != ":8080" || full.Ring.Bytes != 1e6 || full.Stall.Timeout.D() != 45*time.Second ||
		full.HTTPProxyHost != "10.1" || full.Streams[0].Name != "2024" {
		t.Errorf("%s", full.YAML(false))
	}
	for name, text := range map[string]string{
		"a.json":         `{"port": 99, "streams": [{"type": "test_card", "path": "a", "enabled": false}]}`,
		"bom.yaml":       "\xef\xbb\xbfport: 99\nstreams:\n  - {type: test_card, path: a, enabled: false}\n",
		"crlf.yaml":      "port: 99\r\nstreams:\r\n  - type: test_card\r\n    path: a\r\n    enabled: false\r\n",
		"quoted.yaml":    "\"port\": '99'\nstreams:\n  - {\"type\": \"test_card\", path: 'a', enabled: false}\n",
		"leading.yaml":   "%YAML 1.2\n---\n# settings\nport: 0x63\nstreams:\n- {type: test_card, path: !!str a, enabled: false}\n...\n",
		"plain.js":       "exports.config = {port: 99, streams: [{type: 'test_card', path: \"a\", enabled: false}]}",
		"module.js":      "'use strict'\nmodule.exports.config = {\"port\": 99, 'streams': [{type: `test_card`, path: '\\x61', enabled: false,},],};",
		"whole.js":       "#!/usr/bin/env node\nmodule.exports = {config: {port: 0x63, streams: [{type: 'test_card', path: '\\u0061', enabled: false}]}}",
		"variable.js":    "/* a */ var s = [{type: 'test_card', path: 'a', enabled: false}], c = {port: +99, streams: s};\nexports = module.exports = c // b",
		"settings.conf":  "// by content\nexports.config = {port: 99, streams: [{type: 'test_card', path: 'a', enabled: false}]};",
		"settings2.conf": "port: 99\nstreams: [{type: test_card, path: a, enabled: false}]",
	} {
		t.Run(name, func(t *testing.T) {
			c := mustParse(t, name, text)
			if c.Port != 99 || len(c.Streams) != 1 || c.Streams[0].Path != "a" || c.Streams[0].Enabled {
				t.Errorf("%s", c.YAML(false))
			}
		})
	}
}

func TestBounds(t *testing.T) {
	bomb := "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n"
	for _, n := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"} {
		before := "*a" + string(n[0]-1)
		bomb += "a" + n + ": &a" + n + " [" + strings.Repeat(before+",", 9) + before + "]\n"
	}
	scriptBomb := "var a = [1,1];\n"
	for range 40 {
		scriptBomb += "var a = [a, a];\n"
	}
	for name, c := range map[string]struct{ file, text, want string }{
		"empty":                {"a.yaml", "", "a.yaml:1:1: the file is empty"},
		"blank":                {"a.js", " \n\t\n", "a.js:1:1: the file is empty"},
		"too long":             {"a.yaml", strings.Repeat("# x\n", MaxFileBytes/4+1), "a.yaml:1:1: the file is too long (at most 1MiB)"},
		"UTF-16":               {"a.yaml", "\xff\xfep\x00o\x00", "a.yaml:1:1: the file is not UTF-8 text"},
		"Latin-1":              {"a.yaml", "port: 1\nname: M\xfcnchen\n", "a.yaml:2:8: the file is not UTF-8 text"},
		"zero byte":            {"a.yaml", "port: 1\n# \x00\n", "a.yaml:2:3: the file holds a zero byte"},
		"alias bomb":           {"a.yaml", bomb + "streams: *a9\n", "the file holds too many values"},
		"script bomb":          {"a.js", scriptBomb + "exports.config = a;", "the file holds too many values"},
		"deep flow":            {"a.yaml", strings.Repeat("[", 20_000), "values are nested too deeply"},
		"deep flow mappings":   {"a.yaml", strings.Repeat("{a: ", 20_000), "values are nested too deeply"},
		"deep block sequences": {"a.yaml", strings.Repeat("- ", 20_000), "values are nested too deeply"},
		"many keys":            {"a.yaml", strings.Repeat("a: b\n", 20_000), "a.yaml:1001:2: a mapping has too many keys (at most 1000)"},
		"many flow keys":       {"a.yaml", "{" + strings.Repeat("a: 1,", 20_000) + "}", "a mapping has too many keys"},
		"many complex keys":    {"a.yaml", strings.Repeat("? a\n: b\n", 20_000), "a.yaml:1:1: a key must be a word"},
		"many null keys":       {"a.yaml", strings.Repeat("? a\n", 20_000), "a.yaml:1:1: a key must be a word"},
		"deep aliases":         {"a.yaml", "a: " + strings.Repeat("*", 20_000), "values are nested too deeply"},
		"deep tags":            {"a.yaml", strings.Repeat("!a ", 20_000) + "1", ""},
		"deep anchors":         {"a.yaml", strings.Repeat("&a ", 20_000) + "1", ""},
		"deep question marks":  {"a.yaml", strings.Repeat("? ", 20_000) + "1", "a key must be a word"},
		"deep script":          {"a.js", "exports.config = " + strings.Repeat("[", 20_000), "values are nested too deeply"},
		"deep script brackets": {"a.js", "exports.config = " + strings.Repeat("(", 20_000), "values are nested too deeply"},
		"deep script exports":  {"a.js", strings.Repeat("exports=", 20_000), ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(c.file, []byte(c.text), nil)
			var problems Problems
			if !errors.As(err, &problems) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %.200v, want %s", err, c.want)
			}
		})
	}
}

func TestDeepBlockMappings(t *testing.T) {
	var b strings.Builder
	for i := range 1000 {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	if _, err := Parse("a.yaml", []byte(b.String()), nil); err == nil || !strings.Contains(err.Error(), "nested too deeply") {
		t.Errorf("%.200v", err)
	}
}

// The bounds leave room for every real configuration.
func TestManyStreams(t *testing.T) {
	var b strings.Builder
	b.WriteString("log:\n  level: warn\nstreams:\n")
	for i := range 3000 {
		fmt.Fprintf(&b, "  - type: mmsh_pull\n    path: s%d\n    limits: {viewers: 3}\n    source_options:\n      host: h\n      path: /x\n", i)
	}
	if c := mustParse(t, "a.yaml", b.String()); len(c.Streams) != 3000 {
		t.Errorf("%d streams", len(c.Streams))
	}
}

func TestManyProblemsAreCut(t *testing.T) {
	_, err := Parse("a.yaml", []byte("streams:\n"+strings.Repeat("  - {}\n", 500)), nil)
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != maxProblems || !strings.Contains(err.Error(), "801 more problems") {
		t.Errorf("%d problems, the last: %v", len(problems), problems[len(problems)-1])
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "pump.yaml")
	if _, err := Load(file, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("pump.yaml", "streams:\n  - {type: file_loop, path: a, file: media/a.asf}\n  - {type: file_loop, path: b, file: gone.asf, enabled: false}\nssl_key: my.key\n")
	_, err := Load(file, nil)
	if want := file + `:2:38: file "` + dir + `/media/a.asf" cannot be used (a file that exists, relative to this one or absolute)`; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err := os.Mkdir(filepath.Join(dir, "media"), 0o700); err != nil {
		t.Fatal(err)
	}
	write("media/a.asf", "x")
	c, err := Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s := c.Streams[0].AllSources(); len(s) != 1 || s[0].Type != TypeFileLoop || s[0].File != filepath.Join(dir, "media/a.asf") {
		t.Errorf("sources %+v", s)
	}
}

func TestAllSources(t *testing.T) {
	c := mustParse(t, "/etc/a.yaml", `
streams:
  - type: mmsh_pull
    path: a
    source_options: {host: one, path: live}
    sources: [{url: "mmsh://two/x"}, {type: file_loop, file: s.asf}, {type: test_card}]
  - {type: mmsh_push, path: b}
  - {type: mmsh_push, path: c, source_options: {host: ignored, port: '7070'}}
`)
	var got []string
	for _, s := range c.Streams {
		for _, o := range s.AllSources() {
			got = append(got, strings.Join([]string{s.Path, o.Type, o.Host, o.Path, o.URL, o.File}, ","))
		}
	}
	want := []string{
		"a,mmsh_pull,one,/live,,", "a,mmsh_pull,,/,mmsh://two/x,", "a,file_loop,,/,,/etc/s.asf", "a,test_card,,/,,",
		"b,mmsh_push,,/,,", "c,mmsh_push,ignored,/,,",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct{ text, plain, ssl string }{
		{"port: 80", ":80", ""},
		{"listen: ['1.2.3.4:80', '1.2.3.4:81', '[::1]:80']", "1.2.3.4:80 1.2.3.4:81 [::1]:80", ""},
		{"{ssl: true, ssl_key: k, ssl_cert: c, listen: ['1.2.3.4:80', '1.2.3.4:81', '[::1]:80']}", "1.2.3.4:80 1.2.3.4:81 [::1]:80", "1.2.3.4:8089 [::1]:8089"},
	} {
		text := c.text + "\nstreams: []"
		if strings.HasPrefix(c.text, "{") {
			text = strings.TrimSuffix(c.text, "}") + ", streams: []}"
		}
		cfg := mustParse(t, "a.yaml", text)
		if got := strings.Join(cfg.ListenAddresses(), " "); got != c.plain {
			t.Errorf("%s: %s", c.text, got)
		}
		if got := strings.Join(cfg.SSLAddresses(), " "); got != c.ssl {
			t.Errorf("%s: %s", c.text, got)
		}
	}
}

func TestYAMLHidesSecrets(t *testing.T) {
	c := mustParse(t, "a.yaml", `
redirect_404_to: https://u:topsecret@example.org/?k=topsecret&l=topsecret
streams:
  - {type: mmsh_push, path: a, publish: {user: u, password: topsecret}}
  - type: mmsh_pull
    path: b
    source_options: {host: h, user: u, password: topsecret}
    sources: [{url: "https://u:topsecret@h/x?token=topsecret"}]
`)
	shown := string(c.YAML(true))
	if strings.Contains(shown, "topsecret") || !strings.Contains(shown, `password: "***"`) || !strings.Contains(shown, `"https://***@h/x?token=***"`) {
		t.Errorf("%s", shown)
	}
	if again := mustParse(t, "a.yaml", string(c.YAML(false))); !reflect.DeepEqual(c, again) {
		t.Errorf("%s", again.YAML(false))
	}
	if _, err := Parse("a.yaml", []byte(shown), nil); err != nil {
		t.Errorf("redacted output does not read: %v", err)
	}
}

func TestTextsSurviveWriting(t *testing.T) {
	for _, name := range []string{"yes", "null", "~", "12", "1e3", "- a", "a: b", "# c", "'", `"`, `\`, "ä😀", " x ", "\u0085", "\u2028", "\x7f", "*a", "!x", "{", "0x1F", ".inf", "\t", "=", "<<"} {
		c := Default()
		c.Streams = []Stream{{Name: name, Enabled: true, Type: TypeTestCard, Path: "a"}}
		if got := mustParse(t, "a.yaml", string(c.YAML(false))).Streams[0].Name; got != name {
			t.Errorf("%q came back as %q", name, got)
		}
	}
}
