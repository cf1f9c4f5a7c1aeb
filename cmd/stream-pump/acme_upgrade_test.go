package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/acmetest"
	"github.com/stream-pump/stream-pump/internal/certtest"
	"github.com/stream-pump/stream-pump/internal/porttest"
)

// handOverPatience is more than any machine needs.
const handOverPatience = 2 * time.Minute

// renewing is a program in the middle of a renewal: the authority has its order and does not answer.
type renewing struct {
	*testing.T
	folder, plain, secure string
	old                   *x509.Certificate // in force
	roots                 *x509.CertPool
	held                  chan struct{} // closed when the first order is there
	answer                chan struct{} // close it, and that order is answered
	stop                  chan struct{}
	shaking               sync.WaitGroup
	release               func()
}

func startRenewing(t *testing.T) *renewing {
	t.Helper()
	plain, secure := porttest.Free(t), porttest.Free(t)
	r := &renewing{
		T: t, folder: filepath.Join(t.TempDir(), "acme"), plain: fmt.Sprintf("127.0.0.1:%d", plain), secure: fmt.Sprintf("127.0.0.1:%d", secure),
		held: make(chan struct{}), answer: make(chan struct{}), stop: make(chan struct{}),
	}
	r.release = sync.OnceFunc(func() { close(r.answer) })
	authority := acmetest.Start(t, 1, secure, 90*24*time.Hour)
	var orders atomic.Int32
	directory := authority.Front(t, func(_ http.ResponseWriter, q *http.Request) bool {
		if q.URL.Path == "/order-plz" && orders.Add(1) == 1 {
			close(r.held)
			<-r.answer
		}
		return false
	})
	t.Cleanup(r.release) // before the front is closed, which waits for it
	before := certtest.NewAuthority(t, "the authority of before")
	now := time.Now()
	c := before.Issue(t, certtest.Spec{Name: "pump.test", Hosts: []string{"pump.test"}, NotBefore: now.Add(-85 * 24 * time.Hour), NotAfter: now.Add(5 * 24 * time.Hour)})
	acmetest.Keep(t, r.folder, directory, "pump.test", c)
	r.old, r.roots = c.Leaf, authority.Roots.Clone()
	r.roots.AddCert(before.Cert)
	text := fmt.Sprintf(`listen: [%q]
admin: {listen: 'off'}
log: {format: json}
drain: {timeout: 2m}
ssl: true
ssl_port: %d
acme: {domains: [pump.test], directory: %q, ca: %s, folder: %s, challenges: [tls-alpn-01]}
streams: [{path: card, type: test_card}]
`, r.plain, secure, directory, authority.CA, r.folder)
	if err := os.WriteFile(filepath.Join(filepath.Dir(r.folder), "pump.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return r
}

// shown is the certificate that a client sees.
func (r *renewing) shown() (*x509.Certificate, error) {
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: handOverPatience}, "tcp", r.secure, &tls.Config{ServerName: "pump.test", RootCAs: r.roots})
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	return c.ConnectionState().PeerCertificates[0], nil
}

// keepShaking has clients come all the time until the test ends; all of them must see a certificate.
func (r *renewing) keepShaking() (end func()) {
	r.shaking.Go(func() {
		for {
			if _, err := r.shown(); err != nil {
				r.Errorf("a client is turned away: %v", err)
				return
			}
			select {
			case <-r.stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	return sync.OnceFunc(func() { close(r.stop); r.shaking.Wait() })
}

func (r *renewing) eventually(what string, is func() bool) {
	r.Helper()
	for end := time.Now().Add(handOverPatience); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			r.Fatalf("not within %v: %s", handOverPatience, what)
		}
	}
}

// A program that is replaced in the middle of a renewal leaves nobody without a certificate. Where it still has viewers,
// it goes on, though the authority's challenge reaches the new program; where it has none, the new one begins again, and
// does not wait for a lock.
func TestUpgradeInMidRenewal(t *testing.T) {
	for name, watched := range map[string]bool{"the old program goes on": true, "the new program begins again": false} {
		t.Run(name, func(t *testing.T) {
			r := startRenewing(t)
			cmd, log := startPump(t, "run", filepath.Join(filepath.Dir(r.folder), "pump.yaml"))
			await(t, log, "listening", func(l record) bool { return strings.HasPrefix(l.Address, r.secure) })
			select {
			case <-r.held:
			case <-time.After(handOverPatience):
				t.Fatal("nothing is renewed")
			}
			end := r.keepShaking()
			defer end()
			var viewer *http.Response
			if watched {
				viewer = r.watch()
				defer func() { _ = viewer.Body.Close() }()
			}
			if err := cmd.Process.Signal(syscall.SIGUSR2); err != nil {
				t.Fatal(err)
			}
			over := await(t, log, "handed over", func(l record) bool { return l.Msg == "handed over" })
			defer func() { _ = syscall.Kill(over.Pid, syscall.SIGKILL) }()
			if watched {
				r.release()
				await(t, log, "renewed", func(l record) bool { return l.Msg == "certificate renewed" })
				_ = viewer.Body.Close()
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("the old program: %v", err)
			}
			r.eventually("the new program shows a new certificate", func() bool {
				c, err := r.shown()
				return err == nil && !c.Equal(r.old)
			})
			r.eventually("no lock is left", func() bool {
				left, err := filepath.Glob(filepath.Join(r.folder, "locks", "*"))
				return err == nil && len(left) == 0
			})
			end()
			if err := syscall.Kill(over.Pid, syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			for range log { // ends when the new program is gone as well
			}
		})
	}
}

// watch is a viewer that has the beginning.
func (r *renewing) watch() *http.Response {
	r.Helper()
	for end := time.Now().Add(handOverPatience); ; time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get("http://" + r.plain + "/streams/card.asf")
		if err == nil && resp.StatusCode == http.StatusOK {
			return resp
		}
		if err == nil {
			_ = resp.Body.Close()
		}
		if time.Now().After(end) {
			r.Fatalf("nobody can watch: %v", err)
		}
	}
}
