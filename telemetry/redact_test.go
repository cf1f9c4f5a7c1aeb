package telemetry

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"mmsh://host:8080/live":                       "mmsh://host:8080/live",
		"http://u:p@host/x":                           "http://***@host/x",
		"http://u@host/x":                             "http://***@host/x",
		"http://u:p@ss@host/x":                        "http://***@host/x",
		"http://u:p/q@host/x":                         "http://***@host/x",
		"http://host:80/a@b":                          "http://host:80/a@b",
		"http://[::1]:80/a@b":                         "http://[::1]:80/a@b",
		"//u:p@host":                                  "//***@host",
		"http://h/?a=1&token=t&b=2":                   "http://h/?a=1&token=***&b=2",
		"http://h/?access_token=t":                    "http://h/?access_token=***",
		"http://h/?accessToken=t":                     "http://h/?accessToken=***",
		"http://h/?X-Amz-Signature=t&x=y":             "http://h/?X-Amz-Signature=***&x=y",
		"http://h/?KEY=t;sig=u":                       "http://h/?KEY=***;sig=***",
		"http://h/?t%6Fken=t":                         "http://h/?t%6Fken=***",
		"http://h/?monkey=banana&keyframe=1&design=x": "http://h/?monkey=banana&keyframe=1&design=x",
		"http://h/?token":                             "http://h/?token",
		"http://h/#access_token=t":                    "http://h/#access_token=***",
		"http://u:%zz@h/\x00?password=a%zz":           "http://***@h/\x00?password=***",
		"":                                            "",
		"plain":                                       "plain",
	} {
		if got := Redact(in); got != want {
			t.Errorf("%q\ngot  %q\nwant %q", in, got, want)
		}
	}
}

func TestRedactText(t *testing.T) {
	in := `Get "http://u:s@a/?key=s": proxy socks5://x:s@b refused, see <https://c/?q=1>`
	want := `Get "http://***@a/?key=***": proxy socks5://***@b refused, see <https://c/?q=1>`
	if got := RedactText(in); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestRedactError(t *testing.T) {
	if RedactError(nil) != nil {
		t.Error("nil became an error")
	}
	plain := errors.New("refused")
	if got := RedactError(plain); got != plain {
		t.Errorf("an error without secrets became %v", got)
	}
	cause := errors.New("refused by http://u:topsecret@h")
	for _, err := range []error{
		&url.Error{Op: "Get", URL: "http://u:topsecret@h/?token=topsecret", Err: cause},
		fmt.Errorf("pulling: %w", &url.Error{Op: "Get", URL: "http://u:top secret@h topsecret/?token=topsecret", Err: cause}),
	} {
		got := RedactError(err)
		if strings.Contains(got.Error(), "topsecret@") || strings.Contains(got.Error(), "token=topsecret") || !errors.Is(got, cause) {
			t.Errorf("%v", got)
		}
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("http://u:p@h/?token=t&a=b#key=c")
	f.Add("a://b:c/d@e?=&;sig=")
	f.Add(`Get "http://u:s@a/?key=s": no`)
	f.Fuzz(func(t *testing.T, s string) {
		once := Redact(s)
		if twice := Redact(once); twice != once {
			t.Errorf("%q, redacted again %q", once, twice)
		}
		RedactText(s)
	})
}
