package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// echoPush answers a push with what it was given, and waits for the server's end when
// the body says so.
type echoPush struct{ began, ended chan struct{} }

func (p echoPush) ServeConn(ctx context.Context, conn net.Conn, br *bufio.Reader, req *http.Request) {
	body, err := io.ReadAll(io.LimitReader(req.Body, 1<<20))
	if string(body) == "wait" {
		close(p.began)
		<-ctx.Done()
		close(p.ended)
		return
	}
	next, _ := br.Peek(1)
	text := req.Method + " " + req.URL.Path + " " + req.Header.Get("Content-Type") + " " + string(body) + "|" + string(next)
	if err != nil || req.RemoteAddr != conn.RemoteAddr().String() {
		text = "wrong: " + req.RemoteAddr
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nServer: Cougar/9.6\r\nContent-Length: "+textOf(len(text))+"\r\n\r\n"+text)
}

func textOf(n int) string { return text(uint32(n)) }

// A push gets the connection with every byte of its request in place, whichever door it
// comes through and however it is cut.
func TestPushIsHandedOver(t *testing.T) {
	w := newWorld(t, plan{push: echoPush{}})
	push := strings.Replace(post("hello", "Content-Type: application/x-wms-pushstart"), "/x ", "/X_Push/ ", 1) + "$"
	want := "POST /streams/X_Push/ application/x-wms-pushstart hello|$"
	for name, dial := range map[string]func() *client{"plain": w.dial, "TLS": w.dialTLS} {
		for _, cut := range []int{len(push), 1, strings.Index(push, "\r\n\r\n") + 4, len(push) - 3} {
			c := dial()
			c.write(push[:cut])
			c.write(push[cut:])
			if r := c.reply(); string(r.body) != want {
				t.Errorf("%s cut at %d: %q", name, cut, r.body)
			}
			c.ended()
			c.close()
		}
		c := dial() // behind another request
		c.write(ask("OPTIONS * HTTP/1.1") + push)
		c.reply()
		if r := c.reply(); string(r.body) != want {
			t.Errorf("%s behind another request: %q", name, r.body)
		}
		c.close()
	}
	chunked := strings.Replace(ask("PUT /streams/x_push HTTP/1.1", "Transfer-Encoding: chunked"), "\r\n\r\n", "\r\n\r\n2\r\nab\r\n0\r\n\r\n$", 1)
	if r := w.dial().ask(chunked); !strings.HasSuffix(string(r.body), " ab|$") {
		t.Errorf("chunked: %q", r.body)
	}
	if r := w.dial().ask(ask("GET /streams/x_push HTTP/1.0")); r.status != 405 || r.header.Get("Allow") != "POST, PUT" {
		t.Errorf("GET: %d, %q", r.status, r.header)
	}
	if r := w.dial().ask(ask("GET /streams/y_push HTTP/1.0")); r.status != 404 {
		t.Errorf("GET of what nobody configured: %d", r.status)
	}
}

func TestPushEndsWithTheServer(t *testing.T) {
	p := echoPush{make(chan struct{}), make(chan struct{})}
	w := newWorld(t, plan{push: p})
	w.dial().write(strings.Replace(post("wait"), "/x ", "/x_push ", 1))
	select {
	case <-p.began:
	case <-time.After(patience):
		t.Fatal("the push does not begin")
	}
	w.srv.Drain()
	w.shutdown()
	select {
	case <-p.ended:
	default:
		t.Error("the push was not told, or not waited for")
	}
}

// namedPush tells who sent a push, by its request and by its connection.
type namedPush struct{}

func (namedPush) ServeConn(_ context.Context, conn net.Conn, _ *bufio.Reader, req *http.Request) {
	text := req.RemoteAddr + " " + conn.RemoteAddr().String()
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: "+textOf(len(text))+"\r\n\r\n"+text)
}

// certifiedPush tells which certificate a push came with.
type certifiedPush struct{}

func (certifiedPush) ServeConn(_ context.Context, conn net.Conn, _ *bufio.Reader, req *http.Request) {
	text := "no TLS"
	if req.TLS != nil {
		text = "no certificate"
		if v := req.TLS.VerifiedChains; len(v) > 0 {
			text = v[0][0].SerialNumber.String()
		}
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: "+textOf(len(text))+"\r\n\r\n"+text)
}

// A push handler sees the certificate that an encoder was verified by.
func TestPushShowsTheClientsCertificate(t *testing.T) {
	w := newWorld(t, plan{push: certifiedPush{}})
	cert := testCertificate(t)
	own, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(own)
	ln := w.listen()
	w.doors++
	go func() {
		w.served <- w.srv.ServeTLS(ln, &tls.Config{
			Certificates: []tls.Certificate{cert}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool,
		})
	}()
	push := strings.Replace(post(""), "/x ", "/x_push ", 1)
	for want, certs := range map[string][]tls.Certificate{"no certificate": nil, own.SerialNumber.String(): {cert}} {
		conn, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{InsecureSkipVerify: true, Certificates: certs})
		if err != nil {
			t.Fatal(err)
		}
		c := bareClient(t, conn)
		if r := c.ask(push); string(r.body) != want {
			t.Errorf("%q, want %q", r.body, want)
		}
		c.close()
	}
	if r := w.dial().ask(push); string(r.body) != "no TLS" {
		t.Errorf("without TLS: %q", r.body)
	}
}
