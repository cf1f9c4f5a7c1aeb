package ingest

import (
	"bufio"
	"bytes"
	"io"
	"net/url"
	"testing"

	"github.com/stream-pump/stream-pump/mmsh"
)

// FuzzReply: whatever a server answers, reading it ends, and nothing it names is followed but a stream's address.
func FuzzReply(f *testing.F) {
	raw := testHeader(320)
	for _, seed := range []string{
		rex + "\r\n" + string(pullBody(raw, 0, packets(0, 2)...)),
		rex + "Transfer-Encoding: chunked\r\n\r\n" + chunkedOf(pullBody(raw, 0, packets(0, 2)...)),
		rex + "Content-Length: 10\r\n\r\n" + string(mmsh.AppendHeader(nil, raw)),
		"HTTP/1.0 302 Found\r\nLocation: mms://h/x\r\n\r\n", "HTTP/1.1 301\r\nlocation: //x:y@z\r\n\r\n",
		"HTTP/1.0 200 OK\r\nContent-Type: video/x-ms-asf\r\n\r\n<ASX><REF HREF=file:///x><REF HREF=/y></ASX>",
		"HTTP/1.0 200 OK\nContent-Type: audio/x-ms-asx\n\n[Reference]\nRef1=http://h/x\n",
		rex + "\r\n" + string(raw), "ICY 200 OK\r\n\r\n", "HTTP/1.0 200 OK\r\n X: y\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	at := &url.URL{Scheme: "http", Host: "here", Path: "/x"}
	f.Fuzz(func(t *testing.T, b []byte) {
		resp, err := readReply(bufio.NewReaderSize(bytes.NewReader(b), 4096), "GET")
		if err != nil {
			return
		}
		r := &reply{ctx: t.Context(), status: resp.StatusCode, header: resp.Header, body: bufio.NewReader(resp.Body)}
		next, err := r.elsewhere(at)
		if next != nil && err == nil && checkSource(next) != nil {
			t.Fatalf("leads to %s", next)
		}
		if next == nil && err == nil {
			_, _ = firstHeader(r.body)
			_, _ = io.Copy(io.Discard, r.body)
		}
	})
}
