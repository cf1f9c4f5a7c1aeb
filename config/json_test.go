package config

import (
	"reflect"
	"strings"
	"testing"
)

const wholeStream = `{name: "Studio \"A\"", path: studio, type: mmsh_push, enabled: false, hold: 1m30s, proxy: true, takeover: true,
 sources: [{type: mmsh_push}, {type: mmsh_pull, url: "mmsh://u:hush@192.0.2.1/x?key=hush", user: pump, password: hush}, {type: file_loop, file: a.asf}],
 publish: {users: [{name: anna, password: hush}], tokens: [{name: t, token: "0123456789abcdef hush"}], allow: [10.0.0.0/8]},
 play: {signed: true, deny: ["2001:db8::/32"]}, limits: {viewers: 500}, lag: {max: 5s}}`

func TestAStreamIsWrittenAndReadBack(t *testing.T) {
	keys := Signing{Keys: []SigningKey{{Name: "k", Secret: "0123456789abcdef"}}}
	s, err := ParseStream("stream.yaml", []byte(wholeStream), keys, nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseStream("stream.json", s.JSON(false), keys, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, s.JSON(false))
	}
	if !reflect.DeepEqual(s, again) {
		t.Errorf("%+v\nbecame\n%+v", s, again)
	}
	shown := s.JSON(true)
	if strings.Contains(string(shown), "hush") {
		t.Errorf("a secret is shown: %s", shown)
	}
	changed, err := ParseStream("stream.json", []byte(strings.Replace(string(shown), "500", "600", 1)), keys, s)
	if err != nil {
		t.Fatalf("%v\n%s", err, shown)
	}
	s.Limits.Viewers = 600
	if !reflect.DeepEqual(s, changed) {
		t.Errorf("%s\nbecame\n%s", s.JSON(false), changed.JSON(false))
	}
}

func TestOneStreamIsReadAsStrictlyAsAFile(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "the file is empty",
		"[]":                                  "must be a mapping",
		"{path: a}":                           "stream.yaml:1:1: the stream has no type",
		"{path: a, type: mmsh_push, nmae: x}": `unknown key "nmae"`,
		"{path: a, type: test_card, play: {signed: true}}":  "play.signed needs signing.keys",
		"{path: a, type: test_card, limits: {viewers: -1}}": "limits.viewers -1 is out of range",
	} {
		if _, err := ParseStream("stream.yaml", []byte(text), Signing{}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
