package mmsh

import (
	"bytes"
	"testing"
)

// FuzzSetupOptions: whatever an encoder says of itself is read within its bound.
func FuzzSetupOptions(f *testing.F) {
	for _, s := range []string{"AutoDestroy: 1\r\n", "Template-Url: \"http://h/x\"\r\nAutoDestroy:0", "template-url:\r\n\r\n:::", "AutoDestroy: 99999999999", "\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		o := ParseSetupOptions(body)
		if !bytes.Equal(body, before) {
			t.Fatal("the body was changed")
		}
		if len(o.TemplateURL) > MaxPushSetup || bytes.ContainsRune([]byte(o.TemplateURL), '\n') {
			t.Fatalf("template of %d bytes: %q", len(o.TemplateURL), o.TemplateURL)
		}
	})
}
