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
	for _, s := range d.Added {
		b.WriteString("+ " + s.Path + "\n")
	}
	for _, s := range d.Removed {
		b.WriteString("- " + s.Path + "\n")
	}
	for _, c := range d.Changed {
		for _, x := range c.Changes {
			b.WriteString("~ " + c.New.Path + " " + x.String())
			if c.Source {
				b.WriteString(" (source)")
			}
			b.WriteByte('\n')
		}
	}
	for _, c := range d.Settings {
		b.WriteString(c.String() + "\n")
	}
	want := `+ fresh
+ sleeping
- gone
- tired
~ renamed name: Renamed → renamed
~ renamed path: Renamed → renamed
~ renamed publish.password: "***" → "***"
~ renamed lag.max: default → 5s
~ moved source_options: one:80/ → two:80/ (source)
port: 1000 → 2000 (needs a restart)
limits.viewers: 0 → 5
pulse.min: 10ms → 20ms
`
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if n := len(d.NeedRestart()); n != 1 {
		t.Errorf("%d changes need a restart, want 1", n)
	}
	if !Diff(old, old).Empty() || d.Empty() {
		t.Error("a configuration differs from itself, or two from each other do not")
	}
}

// A setting that is renamed must be renamed in the table of those read once.
func TestRestartKeysExist(t *testing.T) {
	known := map[string]bool{}
	for _, name := range EnvNames() {
		known[strings.ToLower(strings.TrimPrefix(name, envPrefix))] = true
	}
	for key := range restartKeys {
		if !known[strings.ReplaceAll(key, ".", "_")] {
			t.Errorf("%s is no setting", key)
		}
	}
}

// The same holds for the rules.
func TestRulesNameSettings(t *testing.T) {
	for path := range rules {
		rest := strings.ToUpper(strings.NewReplacer("[]", "_0", ".", "_").Replace(path))
		if keysOfEnv(reflect.TypeFor[Config](), rest) == nil {
			t.Errorf("no setting at %s", path)
		}
	}
}
