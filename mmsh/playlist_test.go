package mmsh

import (
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParsePlaylist(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"ASX", "<ASX version=\"3.0\"><ENTRY><REF HREF=\"http://a/x?MSWMExt=.asf\"/><REF HREF=\"mms://a/x\"/></ENTRY></ASX>",
			[]string{"http://a/x?MSWMExt=.asf", "mms://a/x"}},
		{"any case, any quotes, bare ampersand", "\xEF\xBB\xBF\r\n<asx Version = '3'>\n<Entry><title>a > b</title><ref\n x=\"1\" HRef = 'mms://a/?b&c'  />",
			[]string{"mms://a/?b&c"}},
		{"no quotes", "<asx><ref href=mms://a/b/><ref href=mms://c />", []string{"mms://a/b", "mms://c"}},
		{"escaped", `<asx><ref href="http://a/?b=1&amp;c=2"/>`, []string{"http://a/?b=1&c=2"}},
		{"comment", `<asx><!-- <ref href="http://no/"/> --><ref href="http://yes/"/>`, []string{"http://yes/"}},
		{"> in an address", `<asx><ref href="http://a/>b"/>`, []string{"http://a/>b"}},
		{"text", "[Reference]\r\nRef1=http://host:80/p?MSWMExt=.asf\r\nRef2= mms://host/p \r\nBaseURL=x\r\nReference=y\r\n",
			[]string{"http://host:80/p?MSWMExt=.asf", "mms://host/p"}},
		{"text in any case", "[reference]\nREF12=mms://a", []string{"mms://a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParsePlaylist([]byte(c.in))
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
			if !LooksLikePlaylist([]byte(c.in)) {
				t.Error("does not look like a playlist")
			}
		})
	}
}

func TestParsePlaylistRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"empty": "", "HTML": "<html><ref href=\"x\">", "no entry": "<ASX></ASX>", "open tag": "<asx", "open comment": "<asx><!-- <ref",
		"control character": "<asx><ref href=\"http://a/\x01\">", "too long": "<asx><ref href=\"" + strings.Repeat("a", 2049) + "\">",
		"no value": "<asx><ref href>", "no ref": "[Reference]\r\nRefx=1\r\nRef=\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParsePlaylist([]byte(in))
			wantErr(t, err, ErrNoPlaylist)
			if got != nil {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestPlaylistIsBounded(t *testing.T) {
	for _, in := range []string{"<asx>" + strings.Repeat("<ref href=x>", 9999), "[Reference]\n" + strings.Repeat("Ref1=x\n", 9999)} {
		got, err := ParsePlaylist([]byte(in))
		if err != nil || len(got) != maxPlaylistEntries {
			t.Errorf("%d entries, %v", len(got), err)
		}
	}
}

func TestAppendASX(t *testing.T) {
	got := string(AppendASX(nil, "News <& more>\x00", `http://h:80/x?a=1&b="2"`, "mms://h:80/x"))
	want := crlf(`<ASX version="3.0">
  <TITLE>News &lt;&amp; more&gt;</TITLE>
  <ENTRY>
    <REF HREF="http://h:80/x?a=1&amp;b=&#34;2&#34;"/>
    <REF HREF="mms://h:80/x"/>
  </ENTRY>
</ASX>
`)
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if back, err := ParsePlaylist([]byte(got)); err != nil || back[0] != `http://h:80/x?a=1&b="2"` || back[1] != "mms://h:80/x" {
		t.Errorf("read back as %q, %v", back, err)
	}
	if odd := AppendASX(nil, "caf\xE9", "http://h/", ""); !utf8.Valid(odd) {
		t.Errorf("no valid XML: %q", odd)
	}
	if strings.Contains(string(AppendASX(nil, "", "http://h/", "")), "TITLE") {
		t.Error("an empty title was written")
	}
}

func TestAppendTextPlaylist(t *testing.T) {
	got := string(AppendTextPlaylist(nil, "http://h/p?MSWMExt=.asf", "mms://h/p\r\nRef9=x"))
	if want := "[Reference]\r\nRef1=http://h/p?MSWMExt=.asf\r\nRef2=mms://h/pRef9=x\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
