package config

import (
	"reflect"
	"strings"
	"testing"
)

func TestDiff(t *testing.T) {
	old := mustParse(t, "a.yaml", `
port: 1000
pulse: {min: 10ms}
streams:
  - {type: mmsh_push, path: same}
  - {type: mmsh_push, path: gone}
  - {type: mmsh_push, path: Renamed, publish: {user: u, password: topsecret}}
  - {type: mmsh_pull, path: moved, source_options: {host: one}}
  - {type: test_card, path: sleeping, enabled: false}
  - {type: test_card, path: tired}
`)
	new := mustParse(t, "a.yaml", `
port: 2000
pulse: {min: 20ms}
limits: {viewers: 5}
pull: {backoff: {max: 40s}}
streams:
  - {type: test_card, path: fresh}
  - {type: mmsh_push, path: same}
  - {type: mmsh_push, path: renamed, publish: {user: u, password: topsecret2}, lag: {max: 5s}}
  - {type: mmsh_pull, path: moved, source_options: {host: two, password: topsecret, user: u}}
  - {type: test_card, path: sleeping}
  - {type: test_card, path: tired, enabled: false}
`)
	d := Diff(old, new)
	var b strings.Builder
	for _, c := range d.Changes() {
		b.WriteString(c.String() + " [" + string(c.Effect) + "]\n")
	}
	want := `port: 1000 → 2000 (needs a restart) [restart]
limits.viewers: 0 → 5 [live]
pulse.min: 10ms → 20ms [live]
pull.backoff.max: 30s → 40s [next]
stream gone: removed [end]
stream tired: removed [end]
stream Renamed name: Renamed → renamed [live]
stream Renamed path: Renamed → renamed (needs a restart) [restart]
stream Renamed publish.password: changed [live]
stream Renamed lag.max: default → 5s [live]
stream moved source_options: one:80/ → two:80/ [source]
stream fresh: added [live]
stream sleeping: added [live]
`
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if n := len(d.NeedRestart()); n != 2 {
		t.Errorf("%d changes need a restart, want 2", n)
	}
	if !Diff(old, old).Empty() || d.Empty() {
		t.Error("a configuration differs from itself, or two from each other do not")
	}

	kept := Keeping(old, new)
	if kept.Port != 1000 || kept.Pulse != new.Pulse || kept.Streams[2].Path != "Renamed" || kept.Streams[2].Name != "renamed" {
		t.Errorf("kept %+v", kept)
	}
	if new.Port != 2000 || new.Streams[2].Path != "renamed" {
		t.Error("the new configuration was written to")
	}
	if left := Diff(old, kept).NeedRestart(); len(left) > 0 {
		t.Errorf("what needs a restart is in force: %v", left)
	}
	if left := Diff(kept, new).Changes(); len(left) != 2 || left[0].Key != "port" || left[1].Key != "path" {
		t.Errorf("left to a restart: %v", left)
	}
}

// A secret shows that it has changed, never what it was or is.
func TestDiffHidesSecrets(t *testing.T) {
	old := mustParse(t, "a.yaml", "streams: [{path: a, type: mmsh_pull, source_options: {url: 'mmsh://u:geheim@h/x?key=geheim'}}]")
	new := mustParse(t, "a.yaml", "streams: [{path: a, type: mmsh_pull, source_options: {url: 'mmsh://u:geheim2@h/x?key=geheim2'}}]")
	d := Diff(old, new).Changes()
	if len(d) != 1 || d[0].String() != "stream a source_options: changed" || d[0].Old+d[0].New != "" {
		t.Errorf("%+v", d)
	}
}

// Every key says what changing it at run time does; nobody can add one and forget it.
func TestEveryKeyHasAnEffect(t *testing.T) {
	var walk func(reflect.Type, string)
	walk = func(of reflect.Type, path string) {
		for i := range of.NumField() {
			f := of.Field(i)
			at := join(path, f.Tag.Get("yaml"))
			effect, tagged := f.Tag.Lookup("reload")
			switch {
			case f.Tag.Get("yaml") == "-":
			case isStreams(f.Type):
				walk(f.Type.Elem(), at)
			case f.Type.Kind() == reflect.Struct && !tagged:
				walk(f.Type, at)
			default:
				switch Effect(effect) {
				case EffectLive, EffectNext, EffectSource, EffectRestart:
				default:
					t.Errorf("%s: reload tag is %q, want live, next, source or restart", at, effect)
				}
				if Effect(effect) == EffectSource && !strings.HasPrefix(at, "streams.") {
					t.Errorf("%s: only a stream's keys can start its source anew", at)
				}
			}
		}
	}
	walk(reflect.TypeFor[Config](), "")
}

// A setting that is renamed must be renamed in the rules.
func TestRulesNameSettings(t *testing.T) {
	for path := range rules {
		rest := strings.ToUpper(strings.NewReplacer("[]", "_0", ".", "_").Replace(path))
		if keysOfEnv(reflect.TypeFor[Config](), rest) == nil {
			t.Errorf("no setting at %s", path)
		}
	}
}
