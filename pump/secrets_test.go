package pump

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/telemetry"
)

// canaries are secrets that can be told from everything else. None of them may come out
// anywhere.
var canaries = []string{
	"canary-publish-password", "canary-publish-token-01", "canary-play-password", "canary-signing-secret-1", "canary-hook-secret-0001",
	"canary-hook-in-address", "canary-source-password", "canary-changed-password", "canary-guessed-password", "canary-guessed-token-01", "canary-guessed-signature",
}

const canaryStreams = `
signing: {keys: [{name: one, secret: canary-signing-secret-1}]}
hook:
  secret: canary-hook-secret-0001
  on_publish: {url: 'http://jo:canary-hook-in-address@%[1]s/x?token=canary-hook-in-address', timeout: 500ms, fail: open}
  on_play: {url: 'http://%[1]s/x?key=canary-hook-in-address', timeout: 500ms, fail: open}
streams:
  - {path: card, type: test_card, play: {users: [{name: jo, password: canary-play-password}], allow_basic: true, signed: true}}
  - {path: open, type: test_card}
  - {path: studio, type: mmsh_push, publish: {users: [{name: jo, password: %[2]s}], allow_basic: true, tokens: [{name: t, token: canary-publish-token-01}]}}
  - {path: gone, type: mmsh_pull, source_options: {url: 'mmsh://jo:canary-source-password@%[1]s/x?sig=canary-source-password'}}
  - {path: below, type: mmsh_pull, source_options: {host: 127.0.0.1, port: 1, user: jo, password: canary-source-password}}
`

// Whatever is done with secrets, rightly and wrongly, none of them comes out: not in the
// log at its most talkative, not in the API, on pages, in metrics, nor in answers.
func TestSecretsStayInside(t *testing.T) {
	nobody := freePort(t)
	config := func(password string) string {
		return fmt.Sprintf(canaryStreams, fmt.Sprintf("127.0.0.1:%d", nobody), password)
	}
	var told bytes.Buffer // everything that anybody gets to see
	w := newWorldLogging(t, config("canary-publish-password"), func(to *worldtest.Log, _ *slog.LevelVar) *slog.Logger {
		log, err := telemetry.NewLogger(to, "json", slog.LevelDebug)
		if err != nil {
			t.Fatal(err)
		}
		return log
	})
	w.awaitLive("card")
	note := func(a answer) answer {
		fmt.Fprintf(&told, "%d %v %s\n", a.status, a.header, a.body)
		return a
	}
	basic := func(password string) string {
		return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("jo:"+password))
	}
	grant := signed(t, "canary-signing-secret-1", access.Grant{Stream: "card", Expires: time.Now().Add(time.Hour), ID: "alice"})
	setup := []string{"Content-Type: application/x-wms-pushsetup", "Content-Length: 0"}
	player := agentLine(mmsh.AgentOld)
	for _, tc := range []struct {
		name   string
		a      answer
		status int
	}{
		{"watch by password", w.request("GET", "/streams/card", player, basic("canary-play-password")), 200},
		{"watch by a wrong one", w.request("GET", "/streams/card", player, basic("canary-guessed-password")), 401},
		{"watch by signature", w.request("GET", "/streams/card?"+grant, player), 200},
		{"watch by a wrong one", w.request("GET", "/streams/card?"+forged(t, grant), player), 403},
		{"a page by signature", w.request("GET", "/streams/card.asx?"+grant), 200},
		{"push by password", w.request("POST", "/streams/studio_push", append(setup, basic("canary-publish-password"))...), 204},
		{"push by a wrong one", w.request("POST", "/streams/studio_push", append(setup, basic("canary-guessed-password"))...), 401},
		{"push by token", w.request("POST", "/streams/studio_push?token=canary-publish-token-01", setup...), 204},
		{"push by a wrong one", w.request("POST", "/streams/studio_push?token=canary-guessed-token-01", setup...), 403},
		{"no such stream", w.request("GET", "/streams/none?token=canary-guessed-token-01", player), 404},
	} {
		if tc.name != "a page by signature" { // who asks by an address gets it back
			note(tc.a)
		}
		if tc.a.status != tc.status {
			t.Errorf("%s: %d %s, want %d", tc.name, tc.a.status, tc.a.body, tc.status)
		}
	}
	v := w.play("card?" + grant)
	v.packets(1)
	w.eventually("the sources are found to be away", func() bool { return strings.Count(w.log.String(), "source not available") >= 2 })
	w.rewrite(config("canary-changed-password"))
	note(w.ask("POST", "/api/v1/diff"))
	note(w.ask("POST", "/api/v1/reload"))
	w.rewrite(strings.Replace(config("canary-changed-password"), "mmsh_pull", "mmsh_pull_", 1))
	note(w.ask("POST", "/api/v1/reload"))
	for _, path := range []string{
		"/", "/metrics", "/api/v1/streams", "/api/v1/streams/card", "/api/v1/streams/gone", "/api/v1/viewers", "/api/v1/viewers?state=closed", "/api/v1/openapi.json",
	} {
		if a := note(w.ask("GET", path)); a.status != http.StatusOK {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	told.Write(parse(t, config("canary-publish-password")).YAML(true)) // as check prints it
	told.WriteString(w.log.String())
	for _, said := range []string{"push refused", "viewer refused", "hook", "sig=***", "publish.users"} {
		if !strings.Contains(told.String(), said) {
			t.Errorf("nothing is said of %q: that was not tested", said)
		}
	}
	for _, secret := range append(canaries, signatureOf(t, grant)) {
		if i := strings.Index(told.String(), secret); i >= 0 {
			t.Errorf("%s is told: …%s…", secret, told.String()[max(0, i-200):min(told.Len(), i+len(secret)+50)])
		}
	}
}

// forged is a signed address with another signature.
func forged(t *testing.T, grant string) string {
	t.Helper()
	return strings.Replace(grant, signatureOf(t, grant), "canary-guessed-signature", 1)
}

// signatureOf is the longest value of a signed address's parameters.
func signatureOf(t *testing.T, grant string) (longest string) {
	t.Helper()
	values, err := url.ParseQuery(grant)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		if len(v[0]) > len(longest) {
			longest = v[0]
		}
	}
	return longest
}

// Who guesses waits, whatever he guesses at; others do not, and who knows is let in at
// once when his address has a clean record.
func TestGuessingIsSlow(t *testing.T) {
	w := newWorld(t, fmt.Sprintf(canaryStreams, "127.0.0.1:1", "canary-publish-password")+"trusted_proxies: [127.0.0.1]\n")
	w.awaitLive("card")
	from := func(n int, lines ...string) []string {
		return append(lines, fmt.Sprintf("X-Forwarded-For: 203.0.113.%d", n))
	}
	basic := func(i int) string {
		return "Authorization: Basic " + base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "jo:guess-%d", i))
	}
	good := signed(t, "canary-signing-secret-1", access.Grant{Stream: "card", Expires: time.Now().Add(time.Hour), ID: "alice"})
	for n, guess := range map[int]func(i int) answer{
		1: func(i int) answer {
			return w.request("GET", "/streams/card", from(1, agentLine(mmsh.AgentOld), basic(i))...)
		},
		2: func(i int) answer {
			return w.request("GET", "/streams/card?"+strings.Replace(good, signatureOf(t, good), fmt.Sprintf("%043d", i), 1), from(2, agentLine(mmsh.AgentOld))...)
		},
		3: func(i int) answer {
			return w.request("POST", "/streams/studio_push", from(3, basic(i), "Content-Type: application/x-wms-pushsetup", "Content-Length: 0")...)
		},
		4: func(i int) answer {
			return w.request("POST", fmt.Sprintf("/streams/studio_push?token=guess-%016d", i), from(4, "Content-Type: application/x-wms-pushsetup", "Content-Length: 0")...)
		},
	} {
		refused := 0
		for i := range 12 {
			if a := guess(i); a.status == http.StatusTooManyRequests {
				if refused++; a.header.Get("Retry-After") == "" {
					t.Errorf("guesser %d is not told how long to wait", n)
				}
			}
		}
		if refused < 5 {
			t.Errorf("guesser %d: %d of 12 guesses were slowed down", n, refused)
		}
	}
	if a := w.request("GET", "/streams/card?"+good, from(9, agentLine(mmsh.AgentOld))...); a.status != http.StatusOK {
		t.Errorf("somebody else, who knows: %d %s", a.status, a.body)
	}
}
