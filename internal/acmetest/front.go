package acmetest

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/stream-pump/stream-pump/internal/certtest"
)

// Front puts something in front of the authority that sees every request first, and may answer it, hold it or count it;
// it tells whether it has answered. It returns the address of the directory there. Certificates are as good as the
// authority's own.
func (a *Authority) Front(t testing.TB, first func(w http.ResponseWriter, r *http.Request) bool) (directory string) {
	t.Helper()
	behind, err := url.Parse(a.Directory)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = behind.Scheme, behind.Host // Host stays: the authority names its pages by it
		},
		Transport:    &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }, // it is gone, or the client is
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !first(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{a.own.Issue(t, certtest.Spec{})}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return "https://" + s.Listener.Addr().String() + behind.Path
}
