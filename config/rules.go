package config

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// rule is what a scalar setting must satisfy by itself. Conditions between
// settings are in check.go.
type rule struct {
	bounded  bool
	min, max int64
	limits   string   // min and max as a person writes them
	enum     []string // the only words allowed
	check    func(text, key string) (result, what, right string)
}

// right says what would be right, for the brackets of a problem.
func (r rule) right() string {
	switch {
	case r.bounded:
		return r.limits
	case len(r.enum) > 0:
		return "one of " + strings.Join(r.enum, ", ")
	}
	return ""
}

// text applies the rule to a text value; an empty what means it passed.
func (r rule) text(s, path string) (result, what, right string) {
	key := lastKey(path)
	if len(r.enum) > 0 && !slices.Contains(r.enum, s) {
		return "", fmt.Sprintf("unknown %s %q", key, s), nearest(s, r.enum)
	}
	if r.check != nil {
		return r.check(s, key)
	}
	if strings.ContainsAny(s, "\r\n\x00") {
		return "", key + " holds a line break", "one line"
	}
	return s, "", ""
}

func number(min, max int64) rule {
	return rule{bounded: true, min: min, max: max, limits: fmt.Sprintf("%d to %d", min, max)}
}

func span(min, max time.Duration) rule {
	return rule{bounded: true, min: int64(min), max: int64(max), limits: fmt.Sprintf("%v to %v", Duration(min), Duration(max))}
}

func oneOf(words ...string) rule { return rule{enum: words} }

const (
	maxCount  = 10_000_000
	streamKey = "streams[]"
)

// rules by path with the indices left out.
var rules = map[string]rule{
	"port":            number(1, 65535),
	"ssl_port":        number(1, 65535),
	"ssl_watch":       span(0, 24*time.Hour),
	"http_proxy_port": number(1, 65535),
	"http_proxy_host": {check: checkHost},
	"redirect_404_to": {check: checkRedirect},
	"admin.listen":    {check: checkAdminListen},
	"snmp.agentx":     {check: checkAgentX},
	"snmp.oid":        {check: checkOID},
	"run_as.user":     {check: checkAccount},
	"run_as.group":    {check: checkAccount},
	"run_as.groups":   {check: checkAccount},
	"egress":          oneOf(EgressAuto, EgressURing, EgressWritev),
	"event_loops":     number(0, 1024),
	"hold":            span(0, 24*time.Hour),

	"ssl_client_certificate": oneOf(ClientRequest, ClientRequire),

	"log.format": oneOf("auto", "text", "json"),
	"log.level":  oneOf("debug", "info", "warn", "error"),

	"pulse.min":     span(time.Millisecond, 10*time.Second),
	"pulse.max":     span(time.Millisecond, 10*time.Second),
	"burst.max":     span(0, time.Minute),
	"lag.max":       span(100*time.Millisecond, 10*time.Minute),
	"stall.timeout": span(time.Second, time.Hour),

	"ring.packets":  number(16, 1<<20),
	"ring.bytes":    {bounded: true, min: 256 << 10, max: 16 << 30, limits: "256KiB to 16GiB"},
	"ring.duration": span(time.Second, 10*time.Minute),

	"request.head_timeout": span(100*time.Millisecond, 5*time.Minute),
	"request.idle_timeout": span(time.Second, time.Hour),
	"push.idle_timeout":    span(time.Second, time.Hour),
	"push.session_timeout": span(time.Second, 24*time.Hour),
	"pull.timeout":         span(time.Second, 10*time.Minute),
	"pull.backoff.min":     span(10*time.Millisecond, time.Hour),
	"pull.backoff.max":     span(10*time.Millisecond, 24*time.Hour),
	"drain.timeout":        span(0, time.Hour),

	streamKey + ".type":         oneOf(TypePull, TypePush, TypeFileLoop, TypeTestCard),
	streamKey + ".path":         {check: checkPath},
	streamKey + ".return_after": span(0, 24*time.Hour),
	streamKey + ".hold":         span(0, 24*time.Hour),
	streamKey + ".lag.max":      span(100*time.Millisecond, 10*time.Minute),
	streamKey + ".burst.max":    span(0, time.Minute),
	streamKey + ".publish.user": {check: checkUser},
}

func init() {
	for _, source := range []string{streamKey + ".source_options", streamKey + ".sources[]"} {
		rules[source+".type"] = oneOf(TypePull, TypePush, TypeFileLoop, TypeTestCard)
		rules[source+".port"] = number(1, 65535)
		rules[source+".host"] = rule{check: checkHost}
		rules[source+".url"] = rule{check: checkSourceURL}
		rules[source+".path"] = rule{check: checkSourcePath}
		rules[source+".user"] = rule{check: checkUser}
	}
}

var index = regexp.MustCompile(`\[\d+\]`)

func ruleOf(path string) rule { return rules[index.ReplaceAllString(path, "[]")] }

var pathForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

func checkPath(s, key string) (string, string, string) {
	if !pathForm.MatchString(s) {
		return "", fmt.Sprintf("%s %q is not valid", key, s), "letters, digits, _ and -, at most 128"
	}
	if base, found := strings.CutSuffix(strings.ToLower(s), "_push"); found {
		return "", fmt.Sprintf("%s %q must not end in _push", key, s),
			fmt.Sprintf("%q is where the encoder of %q sends to", s, s[:len(base)])
	}
	return s, "", ""
}

var hostForm = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_.-]{0,253})|[0-9A-Fa-f:.]+(%[A-Za-z0-9_.-]+)?)$`)

func checkHost(s, key string) (string, string, string) {
	bare := strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	if s != "" && !hostForm.MatchString(bare) {
		return "", fmt.Sprintf("%s %q is no host name and no address", key, hideURL(s)), "a name or an IP address, without scheme, port or path"
	}
	return bare, "", ""
}

func checkRedirect(s, key string) (string, string, string) {
	u, err := url.Parse(s)
	if s != "" && (err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || strings.ContainsAny(s, "\r\n")) {
		return "", fmt.Sprintf("%s %q is no address to redirect to", key, hideURL(s)), "as in https://example.org"
	}
	return s, "", ""
}

// sourceSchemes are the schemes a pump pulls by; mms is tried over HTTP.
var sourceSchemes = []string{"mmsh", "mms", "http", "https"}

func checkSourceURL(s, key string) (string, string, string) {
	u, err := url.Parse(s)
	if s != "" && (err != nil || u.Hostname() == "" || !slices.Contains(sourceSchemes, strings.ToLower(u.Scheme)) || strings.ContainsAny(s, " \r\n")) {
		return "", fmt.Sprintf("%s %q is no address to pull from", key, hideURL(s)), "as in mmsh://host:8080/path; mmsh, mms, http or https"
	}
	return s, "", ""
}

func checkSourcePath(s, key string) (string, string, string) {
	if strings.ContainsAny(s, " \t\r\n\x00#") {
		return "", fmt.Sprintf("%s %q is no path of a URL", key, hideURL(s)), "without spaces; write a space as %20"
	}
	if !strings.HasPrefix(s, "/") {
		s = "/" + s
	}
	return s, "", ""
}

// checkUser does not show the name: it may be user:password.
func checkUser(s, key string) (string, string, string) {
	if strings.ContainsAny(s, ":\"\r\n\x00") {
		return "", key + " is no user name", "one without colon, quote and line break"
	}
	return s, "", ""
}

func checkAdminListen(s, key string) (string, string, string) {
	if s == "" || s == "off" {
		return "", "", ""
	}
	a, ok := listenAddress(s)
	if !ok {
		return "", fmt.Sprintf("%s %q is no address to listen at", key, s), "host:port, as in 127.0.0.1:8087; off for none"
	}
	return a, "", ""
}

// hideURL takes user information and query out of an address for a problem.
func hideURL(s string) string {
	if i := strings.IndexAny(s, "?#"); i >= 0 {
		s = s[:i]
	}
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return s
	}
	scheme := ""
	if i := strings.Index(s[:at], "//"); i >= 0 {
		scheme = s[:i+2]
	}
	return scheme + "***" + s[at:]
}
