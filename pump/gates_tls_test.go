package pump

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/certtest"
	"github.com/stream-pump/stream-pump/mmsh"
)

// request sends one request by TLS and returns the status and the text of the answer.
func (s *secure) request(t *testing.T, method, target, lines string, shows ...tls.Certificate) (int, string) {
	t.Helper()
	conn, err := s.dial(t, shows...)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: pump\r\n%s\r\n", method, target, lines)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	var body []byte
	if resp.ContentLength > 0 {
		body, _ = io.ReadAll(resp.Body)
	}
	return resp.StatusCode, string(body)
}

// An encoder gets in with a certificate that is one of those named, by TLS; by TLS Basic is
// taken too, without being allowed by name.
func TestWhoMayPushByTLS(t *testing.T) {
	theirs := certtest.NewAuthority(t, "clients")
	camera, other := theirs.Issue(t, certtest.Spec{Name: "Camera 1"}), theirs.Issue(t, certtest.Spec{Name: "Camera 2"})
	print := sha256.Sum256(other.Leaf.Raw)
	const setup = "Content-Type: application/x-wms-pushsetup\r\nContent-Length: 0\r\n"
	const wrong = "Authorization: Basic YmM6Z3Vlc3M=\r\n" // bc:guess
	const right = "Authorization: Basic YmM6c2VzYW1l\r\n" // bc:sesame
	keys := "ssl_client_ca: " + certtest.WriteFile(t, t.TempDir(), "ca", theirs.PEM()) + "\n"
	s := newSecure(t, keys)
	with := func(publish string) string {
		return strings.Replace(s.text, "streams: [", "streams: [{path: studio, type: mmsh_push, publish: {"+publish+"}}, ", 1)
	}
	for _, x := range []struct {
		publish, what, lines string
		shows                []tls.Certificate
		status               int
	}{
		{`certificates: [camera 1]`, "the certificate", "", []tls.Certificate{camera}, 204},
		{`certificates: [camera 1]`, "another certificate", "", []tls.Certificate{other}, 403},
		{`certificates: [camera 1]`, "no certificate", "", nil, 403},
		{`certificates: ["sha256:` + hex.EncodeToString(print[:]) + `"]`, "a fingerprint", "", []tls.Certificate{other}, 204},
		{`certificates: ["*"]`, "any certificate", "", []tls.Certificate{camera}, 204},
		{`users: [{name: bc, password_hash: ` + bcryptOfSesame + `}]`, "Basic by TLS", right, nil, 204},
		{`users: [{name: bc, password_hash: ` + bcryptOfSesame + `}]`, "Basic by TLS, wrong", wrong, nil, 401},
		{`certificates: [camera 1], users: [{name: bc, password_hash: ` + bcryptOfSesame + `}]`, "a password in place of a certificate", right, nil, 204},
	} {
		s.reload(with(x.publish))
		if status, text := s.request(t, "POST", "/streams/studio_push", setup+x.lines, x.shows...); status != x.status {
			t.Errorf("%s: %d %s, want %d", x.what, status, text, x.status)
		}
	}
	if a := s.world.request("POST", "/streams/studio_push", "Content-Type: application/x-wms-pushsetup", "Content-Length: 0", strings.TrimSpace(right)); a.status != 403 && a.status != 401 {
		t.Errorf("Basic without TLS: %d", a.status)
	}
	s.reload(strings.Replace(s.text, "type: test_card", "type: test_card, play: {users: [{name: bc, password_hash: "+bcryptOfSesame+"}]}", 1))
	for lines, want := range map[string]int{"": 401, right: 200, wrong: 401} {
		if status, text := s.request(t, "GET", "/streams/card", agentLine(mmsh.AgentOld)+"\r\n"+playLine+"\r\n"+lines); status != want {
			t.Errorf("viewer with %q: %d %s, want %d", lines, status, text, want)
		}
	}
	if got := s.status("/streams/card", strings.TrimSpace(right)); got != 403 {
		t.Errorf("Basic without TLS: %d, want 403: nothing can be asked for there", got)
	}
}

// Who watches when the pump stops is told of like the others.
func TestHookIsToldAtTheEnd(t *testing.T) {
	o := newOperator(t)
	w := newWorld(t, hooks(o.URL)+card)
	w.awaitLive("card")
	v := w.play("card?id=alice")
	v.packets(1)
	if err := w.end("the end of the test"); err != nil {
		t.Fatal(err)
	}
	told := o.told("on_stop")
	if len(told) != 1 || told[0]["reason"] != "drained" || told[0]["id"] != "alice" {
		t.Errorf("%v", told)
	}
}
