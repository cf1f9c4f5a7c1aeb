package mmsh

import "strings"

// maxAgentName bounds Agent.Name, in bytes.
const maxAgentName = 64

// Agent is what a User-Agent tells: the name and the first two numbers, nothing else. [MS-WMSP] 2.2.1.8.
type Agent struct {
	Name         string // as sent, cut at 64 bytes; never to be trusted or printed unescaped
	Major, Minor int    // 0 without a version, at most 65,535
	HasVersion   bool
	MMSH         bool // NSPlayer, NSServer or WMCacheProxy
	Encoder      bool // WMEncoder
	ViaCache     bool // "via WMCacheProxy"
}

// ParseAgent reads a User-Agent header. Nothing is an error: an agent it does not understand is none of ours.
func ParseAgent(ua string) Agent {
	ua = strings.TrimSpace(ua)
	end := strings.IndexAny(ua, "/ \t;,(")
	if end < 0 {
		end = len(ua)
	}
	a := Agent{Name: ua[:min(end, maxAgentName)]}
	if end < len(ua) && ua[end] == '/' {
		a.parseVersion(ua[end+1:])
	}
	a.MMSH = foldAny(a.Name, "NSPlayer", "NSServer", "WMCacheProxy")
	a.Encoder = foldAny(a.Name, "WMEncoder")
	a.ViaCache = containsFold(ua[end:], "via WMCacheProxy")
	return a
}

func (a *Agent) parseVersion(s string) {
	var rest string
	a.Major, rest, a.HasVersion = versionNumber(s)
	if a.HasVersion && strings.HasPrefix(rest, ".") {
		a.Minor, _, _ = versionNumber(rest[1:])
	}
}

// versionNumber reads digits, stopping the count at 65,535.
func versionNumber(s string) (n int, rest string, ok bool) {
	i := 0
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		n = min(n*10+int(s[i]-'0'), 0xFFFF)
	}
	return n, s[i:], i > 0
}

// Old reports whether the agent must not be sent anything that came with version 9: it is below 9.0, shows no version,
// or is no MMSH client. FFmpeg, mpv, libmms, MPlayer and VLC all are old.
func (a Agent) Old() bool { return !a.MMSH || !a.HasVersion || a.Major < 9 }

func foldAny(s string, names ...string) bool {
	for _, name := range names {
		if strings.EqualFold(s, name) {
			return true
		}
	}
	return false
}

func containsFold(s, part string) bool {
	for i := 0; i+len(part) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(part)], part) {
			return true
		}
	}
	return false
}
