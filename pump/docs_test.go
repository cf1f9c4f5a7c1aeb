package pump

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stream-pump/stream-pump/config"
)

// The page of settings has every key, and no other.
func TestConfigurationPage(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	settings, rest, _ := strings.Cut(string(raw), "\n## Streams\n")
	streams, sources, _ := strings.Cut(rest, "\nA source has:\n")
	compare := func(what, page string, want map[string]bool) {
		got := map[string]bool{}
		for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9_.]+)` \\|").FindAllStringSubmatch(page, -1) {
			got[m[1]] = true
		}
		for key := range want {
			if !got[key] {
				t.Errorf("%s: %s is not on the page", what, key)
			}
		}
		for key := range got {
			if !want[key] {
				t.Errorf("%s: %s is on the page and is no key", what, key)
			}
		}
	}
	all := keys(reflect.TypeFor[config.Config](), "")
	delete(all, "streams")
	compare("settings", settings, all)
	compare("streams", streams, keys(reflect.TypeFor[config.Stream](), ""))
	compare("sources", sources, keys(reflect.TypeFor[config.Source](), ""))
}

// keys returns the paths of the scalar and list keys of a configuration type.
func keys(t reflect.Type, under string) map[string]bool {
	all := map[string]bool{}
	for i := range t.NumField() {
		f := t.Field(i)
		key := f.Tag.Get("yaml")
		if key == "-" {
			continue
		}
		if f.Type.Kind() == reflect.Struct {
			for k := range keys(f.Type, under+key+".") {
				all[k] = true
			}
			continue
		}
		all[under+key] = true
	}
	return all
}

// Defaults on the page are those of the program.
func TestConfigurationDefaults(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	settings, _, _ := strings.Cut(string(raw), "\n## Streams\n")
	in := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9_.]+)` \\| ([^|]*) \\|").FindAllStringSubmatch(settings, -1) {
		in[m[1]] = strings.Trim(m[2], "` ")
	}
	for _, c := range defaults(reflect.ValueOf(config.Default()).Elem(), "") {
		if want := c.value; in[c.key] != want {
			t.Errorf("%s: the page says %q, the program %q", c.key, in[c.key], want)
		}
	}
}

type setting struct{ key, value string }

func defaults(v reflect.Value, under string) []setting {
	var list []setting
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("yaml")
		f := v.Field(i)
		if key == "-" || key == "streams" {
			continue
		}
		if f.Kind() == reflect.Struct {
			list = append(list, defaults(f, under+key+".")...)
			continue
		}
		list = append(list, setting{under + key, show(f)})
	}
	return list
}

// show writes a value as the page does.
func show(v reflect.Value) string {
	if v.Kind() == reflect.Slice && v.Len() == 0 {
		return "[]"
	}
	return fmt.Sprint(v.Interface())
}
