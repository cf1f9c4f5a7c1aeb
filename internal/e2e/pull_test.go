package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// VLC is the server that the pump pulls from.
func TestPullFromVLC(t *testing.T) {
	file := MakeMedia(t, smallMedia)
	t.Parallel()
	source := VLCServe(t, file)
	pump := Pump(t, fmt.Sprintf("streams:\n  - {name: VLC, type: mmsh_pull, path: vlc, source_options: {url: '%s'}}", source))
	pump.WaitState(t, "vlc", "live", 15*time.Second)
	audience(t, pump.MMSH("vlc"))()
}

// proxy is an HTTP proxy that counts: for absolute addresses, and for CONNECT.
type proxy struct {
	*httptest.Server
	gets, connects atomic.Int32
}

func startProxy(t *testing.T) *proxy {
	t.Helper()
	p := &proxy{}
	var tunnels sync.WaitGroup
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target, head := r.Host, []byte(nil)
		if r.Method == http.MethodConnect {
			p.connects.Add(1)
		} else {
			p.gets.Add(1)
			target = r.URL.Host
			var b bytes.Buffer
			_ = r.Write(&b) // with the path alone, as origin servers want it
			head = b.Bytes()
		}
		to, err := net.DialTimeout("tcp", target, 5*time.Second)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		from, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			_ = to.Close()
			return
		}
		if head == nil {
			_, _ = io.WriteString(from, "HTTP/1.1 200 OK\r\n\r\n")
		}
		_, _ = to.Write(head)
		tunnels.Go(func() { _, _ = io.Copy(to, from); _ = to.Close(); _ = from.Close() })
		tunnels.Go(func() { _, _ = io.Copy(from, to); _ = to.Close(); _ = from.Close() })
	}))
	t.Cleanup(func() { p.Close(); tunnels.Wait() })
	return p
}

// The pump pulls through an HTTP proxy: by plain GET where the source is http, by CONNECT where it is https.
func TestPullThroughProxy(t *testing.T) {
	need(t, "ffmpeg", "vlc")
	t.Parallel()
	source, tlsPort, cert := securePump(t)
	proxy := startProxy(t)
	pump := Pump(t, fmt.Sprintf(`
use_http_proxy: true
use_proxy_for_local_addresses: true
http_proxy_host: 127.0.0.1
http_proxy_port: %d
streams:
  - {name: By GET, type: mmsh_pull, path: get, source_options: {host: 127.0.0.1, port: %d, path: /streams/card}}
  - {name: By CONNECT, type: mmsh_pull, path: connect, source_options: {url: 'https://127.0.0.1:%d/streams/card'}}`,
		proxy.Listener.Addr().(*net.TCPAddr).Port, source.Port, tlsPort), "SSL_CERT_FILE="+cert)
	pump.WaitState(t, "get", "live", 15*time.Second)
	pump.WaitState(t, "connect", "live", 15*time.Second)
	get, connect := audience(t, pump.MMSH("get")), audience(t, pump.MMSH("connect"))
	get()
	connect()
	t.Logf("the proxy saw %d GET and %d CONNECT", proxy.gets.Load(), proxy.connects.Load())
	if proxy.gets.Load() == 0 || proxy.connects.Load() == 0 {
		t.Error("the proxy was passed by")
	}
	pump.Stop(t) // so that the tunnels end
}
