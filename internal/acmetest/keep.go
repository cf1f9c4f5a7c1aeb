package acmetest

import (
	"crypto/tls"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/certmagic"

	"github.com/stream-pump/stream-pump/internal/certtest"
)

// Keep puts a certificate into a program's folder as one that it once got for the name from the authority with that
// directory.
func Keep(t testing.TB, folder, directory, name string, c tls.Certificate) {
	t.Helper()
	cert, key := certtest.PEM(t, c)
	u, err := url.Parse(directory)
	if err != nil {
		t.Fatal(err)
	}
	issuer := u.Host + "-" + strings.ReplaceAll(strings.Trim(u.Path, "/"), "/", "-")
	keys := certmagic.StorageKeys
	for place, text := range map[string][]byte{
		keys.SiteCert(issuer, name): cert, keys.SitePrivateKey(issuer, name): key, keys.SiteMeta(issuer, name): []byte(`{"sans":["` + name + `"]}`),
	} {
		path := filepath.Join(folder, filepath.FromSlash(place))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
