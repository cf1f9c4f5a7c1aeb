package e2e

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

const accessConfig = `
signing: {keys: [{name: k, secret: 0123456789abcdef}]}
streams:
  - {path: digest, type: mmsh_push, publish: {users: [{name: encoder, password: sesame}]}, play: {users: [{name: viewer, password: sesame}]}}
  - path: basic
    type: mmsh_push
    publish: {users: [{name: encoder, password_hash: "$2a$04$6fM7PKAJYmMfhMrhqkydX.HnDhThdfGKn8gY5En1Sq5VvBHhCQbey"}], allow_basic: true}
    play: {users: [{name: viewer, password_hash: "$2a$04$6fM7PKAJYmMfhMrhqkydX.HnDhThdfGKn8gY5En1Sq5VvBHhCQbey"}], allow_basic: true}
  - {path: signed, type: mmsh_push, publish: {tokens: [{name: obs, token: 0123456789abcdef}]}, play: {signed: true}}
`

// with puts user and password in front of the host of an address.
func with(credentials, url string) string {
	return strings.Replace(url, "://", "://"+credentials+"@", 1)
}

// sign has the program itself make a signed address.
func (p *PumpProc) sign(t *testing.T, path string, d time.Duration, id string) string {
	t.Helper()
	binary, err := buildPump()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), binary, "sign", "-for", d.String(), "-id", id, p.Config, path).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(strings.TrimPrefix(string(out), "/streams/"))
}

// Real encoders and players come in with what they can send: credentials in the address,
// which FFmpeg answers Digest with and VLC only Basic, both over plain HTTP and not over
// MMSH; and addresses with a token or a signature, which everything can.
func TestAccessWithRealPrograms(t *testing.T) {
	need(t, "ffmpeg", "vlc")
	film := MakeMedia(t, smallMedia)
	t.Parallel()
	pump := Pump(t, accessConfig)
	FFmpegPush(t, film, with("encoder:sesame", pump.PushURL("digest")), "asf")
	FFmpegPush(t, film, with("encoder:sesame", pump.PushURL("basic")), "asf_stream")
	FFmpegPush(t, film, pump.PushURL("signed")+"?token=0123456789abcdef", "asf")
	for _, path := range []string{"digest", "basic", "signed"} {
		pump.WaitState(t, path, "live", 20*time.Second)
	}

	const playing = 4 * time.Second
	signed := pump.sign(t, "signed", time.Hour, "alice")
	checks := map[string]func() Result{
		"FFmpeg, Digest": StartFFmpegPlay(t, with("viewer:sesame", pump.HTTP("digest"))+".asf", playing),
		"FFmpeg, Basic":  StartFFmpegPlay(t, with("viewer:sesame", pump.HTTP("basic"))+".asf", playing),
		"VLC, Basic":     StartVLCPlay(t, with("viewer:sesame", pump.HTTP("basic"))+".asf", playing),
		"FFmpeg, signed": StartFFmpegPlay(t, pump.MMSH(signed), playing),
		"VLC, signed":    StartVLCPlay(t, pump.MMSH(signed), playing),
	}
	for name, wait := range checks {
		r := wait() // that what they get is smooth is other tests' matter
		for _, tr := range []track{r.Video, r.Audio} {
			if len(tr) == 0 || tr[len(tr)-1].media-tr[0].media < playing-time.Second {
				t.Errorf("%s does not play: %v", name, r)
			}
		}
	}
	for name, url := range map[string]string{
		"wrong password": with("viewer:guess", pump.HTTP("digest")) + ".asf", "no password": pump.HTTP("digest") + ".asf",
		"a password over MMSH": with("viewer:sesame", pump.MMSH("digest")), "not signed": pump.MMSH("signed"),
	} {
		out, err := exec.CommandContext(t.Context(), "ffmpeg", "-nostdin", "-hide_banner", "-v", "error", "-i", url, "-t", "1", "-f", "null", "-").CombinedOutput()
		if err == nil || !strings.Contains(string(out), "40") {
			t.Errorf("%s: FFmpeg plays, or says nothing of a refusal: %v %s", name, err, out)
		}
	}
	for _, want := range []string{"digest viewer left", "basic viewer left", "signed alice left"} {
		pump.eventuallyLeft(t, want)
	}
}

// eventuallyLeft waits until somebody is among those who have left, with stream, user or
// id, and reason.
func (p *PumpProc) eventuallyLeft(t *testing.T, want string) {
	t.Helper()
	eventually(t, 15*time.Second, want, func() bool {
		var closed []struct {
			Stream, User, Reason string
			ClientID             string `json:"client_id"`
		}
		p.get(t, "/api/v1/viewers?state=closed", &closed)
		for _, v := range closed {
			if v.Stream+" "+v.User+v.ClientID+" "+v.Reason == want {
				return true
			}
		}
		return false
	})
}

// A player whose time is over ends by itself, as at the end of a stream.
func TestExpiryWithFFmpeg(t *testing.T) {
	need(t, "ffmpeg")
	t.Parallel()
	pump := Pump(t, "signing: {keys: [{name: k, secret: 0123456789abcdef}]}\nstreams: [{path: card, type: test_card, play: {signed: true}}]\n")
	pump.WaitState(t, "card", "live", 20*time.Second)
	f := startFFmpeg(t, pump.MMSH(pump.sign(t, "card", 20*time.Second, "a"))) // some of which it takes to start
	r := f.wait(t, 40*time.Second).WithoutEnd()
	r.CheckFrom(t, r.Settled(), 5*time.Second)
	pump.eventuallyLeft(t, "card a expired")
}
