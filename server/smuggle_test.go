package server

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

// hidden is the request that somebody tries to get past a proxy, inside of another one.
// Its answer, a page, is like no other in these tests.
var hidden = ask("GET /streams/x.asx HTTP/1.0")

// Where a request ends is not a matter of opinion: one that two parsers may read in two
// ways is refused, and whatever follows it on the connection is not answered.
func TestSmuggledRequests(t *testing.T) {
	w, _ := describable(t)
	w.serveTLS()
	log := func(proto string, lines ...string) string {
		lines = append(lines, "Content-Type: application/x-wms-LogStats", "Connection: Keep-Alive")
		return ask("POST /streams/x "+proto, lines...)
	}
	const chunked = "Transfer-Encoding: chunked"
	raw := func(lines ...string) string { // what ask cannot say
		return strings.Join(append([]string{"POST /streams/x HTTP/1.1", "Connection: Keep-Alive", "Content-Type: application/x-wms-LogStats"}, lines...), "\r\n") + "\r\n\r\n"
	}
	for _, tc := range []struct {
		name, request string
		want          []int
	}{
		{"both lengths", log("HTTP/1.1", "Content-Length: 5", chunked) + "0\r\n\r\n", []int{413}},
		{"both lengths, the other way round", log("HTTP/1.1", chunked, "Content-Length: 5") + "0\r\n\r\n", []int{413}},
		{"chunks", log("HTTP/1.1", chunked) + "0\r\n\r\n", []int{413}},
		{"chunks with an extension", log("HTTP/1.1", chunked) + "0;a=\"\r\n\r\n", []int{413}},
		{"chunks in HTTP/1.0, which knows none", log("HTTP/1.0", chunked) + "0\r\n\r\n", []int{400}},
		{"chunks in HTTP/1.0, in another case", log("HTTP/1.0", "transfer-ENCODING: chunked") + "0\r\n\r\n", []int{400}},
		{"chunks twice", log("HTTP/1.1", chunked, chunked), []int{400}},
		{"a coding nobody has", log("HTTP/1.1", "Transfer-Encoding: xchunked"), []int{400}},
		{"a coding behind another", log("HTTP/1.1", "Transfer-Encoding: chunked, identity"), []int{400}},
		{"a coding behind a vertical tab", log("HTTP/1.1", "Transfer-Encoding:\vchunked"), []int{400}},
		{"a blank before the colon", log("HTTP/1.1", "Transfer-Encoding : chunked"), []int{400}},
		{"a blank before the colon of the length", log("HTTP/1.1", "Content-Length : 5"), []int{400}},
		{"two lengths", log("HTTP/1.1", "Content-Length: 5", "Content-Length: 6") + "hello", []int{400}},
		{"two lengths on one line", log("HTTP/1.1", "Content-Length: 5, 5") + "hello", []int{400}},
		{"a length with a sign", log("HTTP/1.1", "Content-Length: +5") + "hello", []int{400}},
		{"a length in another base", log("HTTP/1.1", "Content-Length: 0x5") + "hello", []int{400}},
		{"a line that begins with a blank", raw(" Content-Length: 5", "Host: h") + "hello", []int{400}},
		{"a line that goes on with the one before", raw("Content-Length:", "\t5", "Host: h") + "hello", []int{400}},
		{"a first line that begins with a blank", "POST /streams/x HTTP/1.1\r\n Content-Length: 5\r\n\r\nhello", []int{400}},
		{"CR alone", log("HTTP/1.1", "A: b\rContent-Length: 5") + "hello", []int{400}},
		{"a null byte", log("HTTP/1.1", "A: b\x00"), []int{400}},
		{"a null byte in a name", log("HTTP/1.1", "A\x00: b"), []int{400}},
		{"two hosts", log("HTTP/1.1", "Host: elsewhere.example"), []int{400}},
		{"two spaces in the first line", ask("GET  /streams/x HTTP/1.1"), []int{400}},
		{"a control character in the first line", ask("GET /streams/x\x01 HTTP/1.1"), []int{400}},
		{"a length, and so many bytes: the next request is the client's own", log("HTTP/1.1", "Content-Length: 5") + "hello", []int{204, 200}},
		{"a length twice the same", log("HTTP/1.1", "Content-Length: 5", "Content-Length: 5") + "hello", []int{204, 200}},
		{"a length that covers what follows", log("HTTP/1.1", "Content-Length: "+text(uint32(len(hidden)))), []int{204}},
		{"LF alone ends a line, for the length too", strings.ReplaceAll(log("HTTP/1.1", "Content-Length: 5"), "\r\n", "\n") + "hello", []int{204, 200}},
		{"LF alone ends a line, so that what follows it counts", log("HTTP/1.1", "A: b\nTransfer-Encoding: chunked") + "0\r\n\r\n", []int{413}},
	} {
		for door, dial := range map[string]func() *client{"": w.dial, ", behind TLS": w.dialTLS} {
			t.Run(tc.name+door, func(t *testing.T) {
				c := dial()
				c.TB = t
				defer c.close()
				c.write(tc.request + hidden)
				_ = c.conn.(interface{ CloseWrite() error }).CloseWrite()
				if got := c.statuses(); !slices.Equal(got, tc.want) {
					t.Errorf("answers %d, want %d", got, tc.want)
				}
			})
		}
	}
}

// statuses reads answers until the server closes its side.
func (c *client) statuses() (list []int) {
	c.Helper()
	for {
		r, err := c.readReply()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				c.Errorf("behind the answers %d: %v", list, err)
			}
			return list
		}
		list = append(list, r.status)
	}
}
