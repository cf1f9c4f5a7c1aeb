package server

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"
)

// FuzzHead: a head ends where Go's own parser says that it ends, and one that is taken
// leaves no doubt about the length of what follows, whatever reads it.
func FuzzHead(f *testing.F) {
	for _, p := range players {
		f.Add([]byte(strings.Join(p.describe, "\r\n") + "\r\n\r\n"))
		f.Add([]byte(strings.Join(p.play, "\r\n") + "\r\n\r\nmore"))
	}
	for _, s := range []string{
		hidden + hidden, "GET / HTTP/1.0\n\nGET / HTTP/1.0\n\n", "GET / HTTP/1.0\n\r\n\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n", "GET / HTTP/1.1\r\n: \r\n\r\n", "GET http://a@b/%0d HTTP/1.1\r\nHost:\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		end := headEnd(b)
		if end == 0 {
			return
		}
		req, err := parseHead(b[:end])
		if err != nil {
			if status, text := wrongHead(err); status < 400 || strings.ContainsAny(text, "\r\n") {
				t.Fatalf("told to the client: %d %q", status, text)
			}
			return
		}
		rest := bytes.NewReader(b)
		br := bufio.NewReader(rest)
		again, err := http.ReadRequest(br)
		if err != nil {
			t.Fatalf("a head alone is a request, with what follows it is none: %v", err)
		}
		if n := len(b) - rest.Len() - br.Buffered(); n != end {
			t.Fatalf("a head of %d bytes, of which %d are read", end, n)
		}
		if again.RequestURI != req.RequestURI || again.ContentLength != req.ContentLength {
			t.Fatalf("%q with %d bytes is %q with %d", req.RequestURI, req.ContentLength, again.RequestURI, again.ContentLength)
		}
		checkUnambiguous(t, req)
	})
}

func checkUnambiguous(t *testing.T, req *http.Request) {
	t.Helper()
	coded := len(req.TransferEncoding) > 0
	if coded && !req.ProtoAtLeast(1, 1) {
		t.Fatal("chunks in HTTP/1.0")
	}
	for name, values := range req.Header {
		if !isToken([]byte(name)) {
			t.Fatalf("a header named %q", name)
		}
		if http.CanonicalHeaderKey(strings.TrimSpace(name)) == "Transfer-Encoding" {
			t.Fatalf("a coding that was not looked at: %q", values)
		}
		for _, v := range values {
			if holdsControl([]byte(v + ".")) {
				t.Fatalf("%s: %q", name, v)
			}
		}
	}
}
