package config

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

var (
	houseNameForm = regexp.MustCompile(`^[A-Za-z0-9_-]{0,64}$`)
	prefixForm    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
)

func checkHouseName(s, key string) (string, string, string) {
	if !houseNameForm.MatchString(s) {
		return "", fmt.Sprintf("%s %q is no name of a house", key, s), "letters, digits, _ and -, at most 64"
	}
	return s, "", ""
}

func checkPrefix(s, key string) (string, string, string) {
	if !prefixForm.MatchString(s) {
		return "", fmt.Sprintf("%s %q is no beginning of names", key, s), "letters, digits, _ and -, at most 64"
	}
	return s, "", ""
}

func checkClusterListen(s, key string) (string, string, string) {
	if s == "" {
		return "", "", ""
	}
	a, ok := listenAddress(s)
	if !ok {
		return "", fmt.Sprintf("%s %q is no address to listen at", key, s), "host:port, as in :8092"
	}
	return a, "", ""
}

func checkNATSURL(s, key string) (string, string, string) {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
		return "", fmt.Sprintf("%s %q is no address of a NATS server", key, hideURL(s)), "as in nats://HOST:4222 or tls://HOST:4222"
	}
	return s, "", ""
}

func checkWebhook(s, key string) (string, string, string) {
	u, err := url.Parse(s)
	if s != "" && (err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" || strings.ContainsAny(s, " \r\n")) {
		return "", fmt.Sprintf("%s %q is no address to send events to", key, hideURL(s)), "as in https://example.org/hook; http or https"
	}
	return s, "", ""
}
