package config

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

func example(t *testing.T, name string) (string, []byte) {
	t.Helper()
	file := filepath.Join("..", "examples", name)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return file, data
}

// without returns c without what tells where it came from.
func without(c *Config) *Config {
	d := *c
	if folder, err := filepath.Rel(c.Dir, c.ACME.Folder); err == nil && filepath.IsAbs(c.Dir) == filepath.IsAbs(c.ACME.Folder) {
		d.ACME.Folder = folder
	}
	if folder, err := filepath.Rel(c.Dir, c.House.Cache); err == nil && filepath.IsAbs(c.Dir) == filepath.IsAbs(c.House.Cache) {
		d.House.Cache = folder
	}
	d.Dir = ""
	if len(d.Streams) == 0 {
		d.Streams = nil
	}
	if len(d.Listen) == 0 {
		d.Listen = nil
	}
	if len(d.Admin.Allow) == 0 {
		d.Admin.Allow = nil
	}
	return &d
}

func TestExampleIsTheDefault(t *testing.T) {
	file, _ := example(t, "stream-pump.yaml")
	c, err := Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := without(c), without(Default()); !reflect.DeepEqual(got, want) {
		t.Errorf("examples/stream-pump.yaml is not the default:\n%s\nbut\n%s", want.YAML(false), got.YAML(false))
	}
}

// Every key outside the streams stands in the example with a value; that the values
// are the defaults would also hold if a key were missing.
func TestExampleNamesEverySetting(t *testing.T) {
	file, data := example(t, "stream-pump.yaml")
	d := newDecoder(file)
	root := d.tree(file, data)
	if root == nil {
		t.Fatal(d.problems)
	}
	for _, name := range EnvNames() {
		n := root
		keys := keysOfEnv(reflect.TypeFor[Config](), strings.TrimPrefix(name, envPrefix))
		for _, k := range keys {
			if n = n.get(k); n == nil {
				t.Errorf("examples/stream-pump.yaml does not mention %s", strings.Join(keys, "."))
				break
			}
		}
	}
}

// The commented streams of the example are a configuration too, and they use every
// key a stream has.
func TestExampleStreams(t *testing.T) {
	_, data := example(t, "stream-pump.yaml")
	_, commented, found := bytes.Cut(data, []byte("#   streams:\n"))
	if !found {
		t.Fatal("no commented streams in examples/stream-pump.yaml")
	}
	text := "streams:\n"
	for line := range strings.Lines(string(commented)) {
		if rest, isComment := strings.CutPrefix(line, "#"); isComment {
			text += strings.TrimPrefix(rest, "   ")
		}
	}
	c, err := Parse("example.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Streams) != 3 {
		t.Fatalf("%d streams, want 3", len(c.Streams))
	}
	for _, of := range []any{Stream{}, Source{}, Publish{}, Play{}, User{}, Token{}, StreamLimits{}, StreamLag{}, StreamBurst{}} {
		for _, key := range keysOf(reflect.TypeOf(of)) {
			if !regexp.MustCompile(`(?m)[\s{-]` + key + `:`).MatchString(text) {
				t.Errorf("the commented streams do not mention %s of %T", key, of)
			}
		}
	}
}

func TestExampleMinimal(t *testing.T) {
	file, _ := example(t, "minimal.yaml")
	c, err := Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := without(Default())
	want.Streams = []Stream{{Name: "Studio", Enabled: true, Type: TypePush, Path: "studio", ReturnAfter: defaultStream().ReturnAfter}}
	if got := without(c); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got.YAML(false), want.YAML(false))
	}
}

// The file of the 2011 program and its YAML translation are one configuration.
func TestExampleConfigJS(t *testing.T) {
	file, _ := example(t, "config.js")
	got, err := Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := Parse(filepath.Join("..", "examples", "config.yaml"), []byte(`
port: 8086
use_http_proxy: false            # pull through a proxy (CONNECT where the source is https)
http_proxy_host: some_proxy
http_proxy_port: 8080
use_proxy_for_local_addresses: false
redirect_404_to: https://example.org
ssl: false
ssl_port: 8089
ssl_key: my.key
ssl_cert: my.cert
streams:
  - name: Test Pull Video Source
    enabled: true
    type: mmsh_pull              # mmsh_pull | mmsh_push | file_loop | …
    source_options: {host: 127.0.0.1, port: 7070, path: /}   # port: number or string; or url:
    path: pulled_video           # [A-Za-z0-9_-]+
  - name: Test Push Video Source
    enabled: true
    type: mmsh_push
    path: pushed_video
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got.YAML(false), want.YAML(false))
	}
	if s := got.Streams[0].SourceOptions; s.Port != 7070 || s.Host != "127.0.0.1" {
		t.Errorf("source %+v", s)
	}
}
