package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A house behind HAProxy sends a real player to the pump of the player's own network, not of the proxy's, whether the proxy tells
// who it is by the PROXY protocol or by X-Forwarded-For. Whoever is no trusted proxy cannot claim to be
// somebody else, and neither can a client of the proxy.
func TestAHouseBehindHAProxyKnowsItsViewers(t *testing.T) {
	need(t, "ffmpeg", "haproxy")
	needIPv6(t)
	t.Parallel()
	for name, tt := range map[string]struct{ config, mode, server string }{
		"PROXY":           {"proxy_protocol: true\n", "tcp", "send-proxy-v2"},
		"X-Forwarded-For": {"", "http\n  option forwardfor", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			house := newHouse(t, "front", "pumps_roster_json: pumps.json\ntrusted_proxies: [127.0.0.3]\nstreams: [{path: studio, type: test_card}]\n"+tt.config)
			house.write(t, "pumps.json", fmt.Sprintf(`[{"id": "six", "key": %q, "networks": ["::1/128"]}, {"id": "four", "key": %q, "networks": ["127.0.0.0/8"]}]`, keyOf("six"), keyOf("four")))
			house.Start(t)
			house.WaitReady(t, time.Minute)
			six, four := fleetPump(t, "six", house.Secure(""), house.CA(t)), fleetPump(t, "four", house.Secure(""), house.CA(t))
			ways := func(bind string) string {
				return fmt.Sprintf("  mode %s\n  bind %s\n  server house 127.0.0.1:%d source 127.0.0.3 %s\n", tt.mode, bind, house.Port, tt.server)
			}
			ports := haproxy(t, []front{{name: "IPv6", lines: ways("[::1]:%d"), at: "::1"}, {name: "IPv4", lines: ways("127.0.0.1:%d"), at: "127.0.0.1"}})
			viaSix, viaFour := fmt.Sprintf("[::1]:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
			direct := fmt.Sprintf("127.0.0.1:%d", house.Port)
			toSix, toFour := fmt.Sprintf("http://127.0.0.1:%d/", six.Port), fmt.Sprintf("http://127.0.0.1:%d/", four.Port)
			eventually(t, time.Minute, "each viewer is sent to the pump of his network", func() bool {
				return strings.HasPrefix(sentTo(t, "", viaSix, ""), toSix) && strings.HasPrefix(sentTo(t, "", viaFour, ""), toFour)
			})
			for what, c := range map[string]struct{ from, at, head, want string }{
				"a client of the proxy claims to be another by X-Forwarded-For": {"", viaSix, "X-Forwarded-For: 127.0.0.1\r\n", toSix},
				"by Forwarded":       {"", viaSix, "Forwarded: for=127.0.0.1\r\n", toSix},
				"one who is trusted": {"", viaFour, "X-Forwarded-For: ::1, 127.0.0.3\r\n", toFour},
				"without a proxy":    {"127.0.0.88", direct, "", toFour},
				"somebody who is no proxy claims to be another by X-Forwarded-For": {"127.0.0.88", direct, "X-Forwarded-For: ::1\r\n", toFour},
			} {
				if got := sentTo(t, c.from, c.at, c.head); !strings.HasPrefix(got, c.want) {
					t.Errorf("%s: sent to %q, want %s", what, got, c.want)
				}
			}
			if got := sentTo(t, "127.0.0.88", direct, "", "PROXY TCP6 ::1 ::1 5000 80\r\n"); got != "" {
				t.Errorf("somebody who is no proxy says PROXY, and is sent to %s", got)
			}
			const playing = 3 * time.Second
			bySix := StartFFmpegPlay(t, "mmsh://"+viaSix+"/streams/studio?id=by-six", playing)
			byFour := StartFFmpegPlay(t, "mmsh://"+viaFour+"/streams/studio?id=by-four", playing)
			for viewer, r := range map[string]Result{"by-six": bySix(), "by-four": byFour()} {
				if len(r.Video) == 0 || len(r.Audio) == 0 {
					t.Errorf("FFmpeg does not play %s: %v", viewer, r)
				}
			}
			six.eventuallyLeft(t, "studio by-six left")
			four.eventuallyLeft(t, "studio by-four left")
		})
	}
}

// sentTo asks for a stream from an address, and returns where the house sends the viewer; nothing if it does not.
// before is said ahead of the request.
func sentTo(t *testing.T, from, at, head string, before ...string) string {
	t.Helper()
	dialer := net.Dialer{Timeout: slack * 5 * time.Second}
	if from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	c, err := dialer.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(slack * 10 * time.Second))
	if _, err := fmt.Fprintf(c, "%sGET /streams/studio HTTP/1.1\r\nHost: %s\r\n%sConnection: close\r\n\r\n", strings.Join(before, ""), at, head); err != nil {
		return ""
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return ""
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusFound {
		return ""
	}
	return resp.Header.Get("Location")
}
