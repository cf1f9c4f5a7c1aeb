package loadtest

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// The id under which a server knows a viewer is part of the address.
func TestViewersSendTheirIDs(t *testing.T) {
	for _, tc := range []struct{ name, id, address, want string }{
		{"no ids asked for", "", "mmsh://h:1/streams/x", "/streams/x"},
		{"an id", "room-", "mmsh://h:1/streams/x", "/streams/x?id=room-7"},
		{"behind a query", "room-", "mmsh://h:1/streams/x?MSWMExt=.asf", "/streams/x?MSWMExt=.asf&id=room-7"},
		{"an address that has one, as after a redirect", "room-", "mmsh://h:1/streams/x?id=alice", "/streams/x?id=alice"},
		{"a signed address stays as it was signed", "room-", "mmsh://h:1/streams/x?exp=1&sig=abc", "/streams/x?exp=1&sig=abc"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, how := range []manner{{}, {plain: true}, {wmp: true}, {proxy: true}} {
				home, err := parseTarget(tc.address)
				if err != nil {
					t.Fatal(err)
				}
				how.id = tc.id
				c := newClient(7, home, &how, newTally(1, 0), steady)
				r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(c.request())))
				if err != nil {
					t.Fatal(err)
				}
				if got := r.URL.RequestURI(); got != tc.want {
					t.Errorf("%+v asks for %s, want %s", how, got, tc.want)
				}
				if absolute := strings.HasPrefix(r.RequestURI, "http://h:1/"); absolute != how.proxy {
					t.Errorf("%+v: request line %s", how, r.RequestURI)
				}
			}
		})
	}
}

// What is no stream is called by what it is, not by what it lacks.
func TestAnswersThatAreNoStream(t *testing.T) {
	for _, tc := range []struct{ name, answer, want string }{
		{"a web page", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello", `no stream: Content-Type "text/html"`},
		{"another protocol", "SSH-2.0-OpenSSH_9\r\n", "an answer that is not HTTP"},
		{"nothing", "", "the connection ended before an answer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newFakeServer(t, handling(func(conn net.Conn, _ *http.Request) bool { io.WriteString(conn, tc.answer); return true }))
			o := quick(s.url())
			o.Clients = 2
			rep := mustRun(t, o)
			wantVerdict(t, rep, Fail)
			if rep.Failures[tc.want] != 2 || rep.Protocol != 0 {
				t.Errorf("failures %v and %d protocol errors, want twice %q", rep.Failures, rep.Protocol, tc.want)
			}
		})
	}
}
