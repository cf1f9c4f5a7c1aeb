package config

import (
	"fmt"
	"strings"
	"testing"
)

// A webhook is an address of HTTP with a host, whatever else could be asked for by it; what is
// wrong is told with its place and without the secrets in it.
func TestAddressesOfWebhooks(t *testing.T) {
	for address, ok := range map[string]bool{
		"https://example.org/hook": true, "http://10.0.0.7:9000/hook?token=hush": true, "http://user:hush@example.org/": true, "http://[2001:db8::1]/x": true,
		"file:///etc/passwd?token=hush": false, "gopher://127.0.0.1:70/x": false, "ftp://user:hush@example.org/": false, "unix:///run/docker.sock?token=hush": false,
		"//example.org/x": false, "example.org/x": false, "/x": false, "http:///x": false, "http://:80/x": false,
		"http://exa mple.org/x": false, "https://example.org/a b?token=hush": false, "javascript:alert(1)": false, "http://user:hush@": false,
	} {
		_, err := ParseHouse("house.yaml", []byte(fmt.Sprintf("webhooks:\n  - url: %q\n", address)), nil)
		if (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "house.yaml:2:10: url") || !strings.Contains(err.Error(), "https://example.org/hook") || strings.Contains(err.Error(), "hush")) {
			t.Errorf("%s: %v", address, err)
		}
	}
}
