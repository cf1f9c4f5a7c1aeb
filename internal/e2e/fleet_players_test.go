package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Every player comes to his stream by way of the house, each in the form that he follows: FFmpeg and mpv by a redirect to http,
// VLC by one to mmsh or by a list, and MPlayer, which follows none, from the house itself. The address is
// signed and names the viewer; both reach whoever serves him.
func TestPlayersComeByWayOfTheHouse(t *testing.T) {
	need(t, "ffmpeg", "vlc")
	t.Parallel()
	const signing, streams = "signing: {keys: [{name: k, secret: 0123456789abcdef}]}\n", "streams: [{path: Studio, type: test_card, play: {signed: true}}]\n"
	house := newHouse(t, "players", "pumps_roster_json: pumps.json\nrelay: {viewers: 2}\n"+signing+streams)
	house.write(t, "pumps.json", fmt.Sprintf(`[{"id": "real", "key": %q, "networks": ["127.0.0.0/8"]}]`, keyOf("real")))
	house.Start(t)
	house.WaitReady(t, time.Minute)
	pump := fleetPump(t, "real", house.Secure(""), house.CA(t))
	pump.WaitState(t, "studio", "live", 30*time.Second)
	signer := &PumpProc{Config: filepath.Join(t.TempDir(), "sign.yml")} // the pump's own file knows no keys
	if err := os.WriteFile(signer.Config, []byte(signing+streams), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "the house sends viewers to the pump", func() bool {
		r, err := http.DefaultTransport.RoundTrip(newRequest(t, http.MethodHead, house.Plain("/streams/studio")))
		if err != nil {
			return false
		}
		_ = r.Body.Close()
		return r.StatusCode == http.StatusFound && strings.HasPrefix(r.Header.Get("Location"), fmt.Sprintf("http://127.0.0.1:%d/streams/Studio", pump.Port))
	})
	at := func(id, ending string) string {
		path, query, _ := strings.Cut(signer.sign(t, "studio", time.Hour, id), "?")
		return fmt.Sprintf("127.0.0.1:%d/streams/%s%s?%s", house.Port, path, ending, query)
	}
	const playing = 5 * time.Second
	checks := map[string]func() Result{
		"FFmpeg": StartFFmpegPlay(t, "mmsh://"+at("ffmpeg", ""), playing),
		"VLC":    StartVLCPlay(t, "mmsh://"+at("vlc", ""), playing),
	}
	others := startOtherPlayers(t, "mmsh://"+at("others", ""))
	list, err := http.Get("http://" + at("list", ".asx"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(list.Body)
	_ = list.Body.Close()
	if err != nil || list.StatusCode != http.StatusOK || !strings.Contains(string(text), fmt.Sprintf("http://127.0.0.1:%d/streams/Studio?", pump.Port)) {
		t.Errorf("the list: %v %s %s", err, list.Status, text)
	}
	for name, wait := range checks {
		r := wait()
		for _, tr := range []track{r.Video, r.Audio} {
			if len(tr) == 0 || tr[len(tr)-1].media-tr[0].media < playing-time.Second {
				t.Errorf("%s does not play: %v", name, r)
			}
		}
	}
	others()
	for _, want := range []string{"ffmpeg", "vlc"} {
		pump.eventuallyLeft(t, "Studio "+want+" left")
	}
}

func newRequest(t *testing.T, method, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
