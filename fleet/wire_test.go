package fleet

import (
	"bytes"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestMessages(t *testing.T) {
	var wire []byte
	sent := []Message{{Event: "config", ID: "1", Data: []byte("{}")}, {Data: []byte("two\nlines")}, {Event: "x", Data: []byte("")}}
	for _, m := range sent {
		wire = append(AppendMessage(wire, m), Comment...)
	}
	heard := 0
	r := NewMessageReader(bytes.NewReader(wire))
	r.Heard = func() { heard++ }
	for i, want := range sent {
		got, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if got.Event != want.Event || got.ID != want.ID || !bytes.Equal(got.Data, want.Data) {
			t.Errorf("message %d is %+v, want %+v", i, got, want)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("the end is %v", err)
	}
	if heard < len(sent)*4 {
		t.Errorf("heard %d lines", heard)
	}
}

func TestMessageForms(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for name, tt := range map[string]struct{ wire, event, data string }{
		"CRLF":                          {"event: a\r\ndata: b\r\n\r\n", "a", "b"},
		"no blank after the colon":      {"event:a\ndata:b\n\n", "a", "b"},
		"a field without a colon":       {"data\n\n", "", ""},
		"unknown fields":                {"retry: 5\nfoo: bar\ndata: b\n\n", "", "b"},
		"an event without data is none": {"event: a\n\ndata: b\n\n", "", "b"},
		"a line longer than the buffer": {"data: " + long + "\n\n", "", long},
	} {
		got, err := NewMessageReader(strings.NewReader(tt.wire)).Next()
		if err != nil || got.Event != tt.event || string(got.Data) != tt.data {
			t.Errorf("%s: %q %.20q, %v", name, got.Event, got.Data, err)
		}
	}
}

type endless struct{ text string }

func (e endless) Read(p []byte) (int, error) { return copy(p, e.text), nil }

func TestAMessageWithoutEndIsRefused(t *testing.T) {
	for _, text := range []string{"data: ", "data: x\n", "x"} {
		if _, err := NewMessageReader(endless{text}).Next(); !errors.Is(err, ErrMessageTooLong) {
			t.Errorf("%q without end: %v", text, err)
		}
	}
}

func TestBodies(t *testing.T) {
	for _, n := range []int{0, 10, 100_000} {
		in := strings.Repeat("ab", n)
		body, encoding, err := Encode(in)
		if err != nil {
			t.Fatal(err)
		}
		var out string
		if err := Decode(bytes.NewReader(body), encoding, &out); err != nil || out != in {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestBadBodies(t *testing.T) {
	bomb, encoding, err := Encode(strings.Repeat(" ", MaxBody+10))
	if err != nil || len(bomb) > MaxBody/100 {
		t.Fatalf("%d bytes, %v", len(bomb), err)
	}
	for name, tt := range map[string]struct {
		body, encoding, code string
	}{
		"unpacks to more than the bound": {string(bomb), encoding, CodeTooLarge},
		"longer than the bound":          {strings.Repeat(" ", MaxBody+1), "", CodeTooLarge},
		"not gzip":                       {"{}", "gzip", CodeBadMessage},
		"cut off gzip":                   {string(bomb[:len(bomb)/2]), "gzip", CodeBadMessage},
		"unknown encoding":               {"{}", "br", CodeBadMessage},
		"no JSON":                        {"hello", "", CodeBadMessage},
		"two values":                     {"{}{}", "", CodeBadMessage},
		"a number that is text":          {`{"number": "secret"}`, "", CodeBadMessage},
		"a number beyond 64 bits":        {`{"number": 99999999999999999999}`, "", CodeBadMessage},
	} {
		var b Batch
		err := Decode(strings.NewReader(tt.body), tt.encoding, &b)
		var e *Error
		if !errors.As(err, &e) || e.Code != tt.code || !e.Permanent() {
			t.Errorf("%s: %v, want %s", name, err, tt.code)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error quotes the body: %v", name, err)
		}
	}
	if (&Error{Status: http.StatusServiceUnavailable}).Permanent() {
		t.Error("503 is not for ever")
	}
}

func TestInvites(t *testing.T) {
	ca := &x509.Certificate{Raw: []byte("a certificate")}
	for _, want := range []Invite{NewInvite("calgary", ca), NewInvite("a.b-c", nil)} {
		got, err := ParseInvite(" " + want.String() + "\n")
		if err != nil || got != want {
			t.Errorf("%+v became %+v, %v", want, got, err)
		}
		if got.IsCA(ca) != want.Pinned() || got.IsCA(&x509.Certificate{Raw: []byte("another")}) {
			t.Error("the authority is not the one")
		}
		text := want.String()
		for i := range text {
			if got, err := ParseInvite(text[:i]); err == nil && got == want {
				t.Errorf("cut off at %d it is the same", i)
			}
		}
	}
	if one, other := NewInvite("x", nil), NewInvite("x", nil); one.Secret == other.Secret {
		t.Error("two invites have the same secret")
	}
	for _, text := range []string{"", "ph1", "ph1..", "ph2.YQ.AAAAAAAAAAAAAAAAAAAAAA", "ph1.YSBi.AAAAAAAAAAAAAAAAAAAAAA", "ph1.YQ.AAAA", strings.Repeat("a", 301)} {
		if _, err := ParseInvite(text); !errors.Is(err, ErrInvite) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestACertificateRequestIsBounded(t *testing.T) {
	good := CertificateRequest{Pump: "calgary", CSR: "-----BEGIN CERTIFICATE REQUEST-----"}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for _, r := range []CertificateRequest{{Pump: "calgary"}, {CSR: "x"}, {Pump: "calgary", CSR: strings.Repeat("x", 20_000)}} {
		if r.Check() == nil {
			t.Errorf("%.20q with %d bytes passes", r.Pump, len(r.CSR))
		}
	}
}
