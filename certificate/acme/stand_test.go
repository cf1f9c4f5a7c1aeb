package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/certificate"
	"github.com/stream-pump/stream-pump/internal/acmetest"
	"github.com/stream-pump/stream-pump/internal/certtest"
	"github.com/stream-pump/stream-pump/internal/worldtest"
)

// stand is a manager with a server that shows what it has, and an authority whose answers a test may change.
type stand struct {
	testing.TB
	*Manager
	log     *worldtest.Log
	roots   *x509.CertPool
	address string
	orders  atomic.Int64                              // that reached the authority
	refused atomic.Int64                              // that were answered in its place
	answer  atomic.Pointer[func(http.ResponseWriter)] // what it says to an order, nil: as it pleases
	old     *x509.Certificate                         // in the folder at the start, with five days to go; nil for none
}

// standing is how a stand begins.
type standing struct {
	folder string                     // empty: one of its own
	old    bool                       // with a certificate that has five days to go
	answer *func(http.ResponseWriter) // to orders
	before func(*Manager)             // done before anything runs
}

// newStand makes one for a name. The names of tests differ: pauses after failures are kept by name, for the whole
// program.
func newStand(t *testing.T, name string, how standing) *stand {
	t.Helper()
	folder := how.folder
	if folder == "" {
		folder = filepath.Join(t.TempDir(), "acme")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{TB: t, log: &worldtest.Log{}, address: ln.Addr().String()}
	port := ln.Addr().(*net.TCPAddr).Port
	authority := acmetest.Start(t, 1, port, 90*24*time.Hour)
	directory := authority.Front(t, s.order)
	s.roots = authority.Roots
	roots, err := certificate.Authorities(authority.CA)
	if err != nil {
		t.Fatal(err)
	}
	s.answer.Store(how.answer)
	if how.old {
		issuer := certtest.NewAuthority(t, "the authority of before")
		now := time.Now()
		c := issuer.Issue(t, certtest.Spec{Name: name, Hosts: []string{name}, NotBefore: now.Add(-85 * 24 * time.Hour), NotAfter: now.Add(5 * 24 * time.Hour)})
		acmetest.Keep(t, folder, directory, name, c)
		s.roots, s.old = s.roots.Clone(), c.Leaf
		s.roots.AddCert(issuer.Cert)
	}
	s.Manager = New(Options{
		Domains: []string{name}, Directory: directory, Roots: roots, Folder: folder, Challenges: []string{TLSALPN},
		Host: "127.0.0.1", TLSPort: port, Every: 200 * time.Millisecond, Log: slog.New(slog.NewTextHandler(s.log, nil)),
	})
	if how.before != nil {
		how.before(s.Manager)
	}
	k, err := certificate.New(certificate.Files{}, certificate.Options{Issuer: s.Manager})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{}, 2)
	go func() { shakeHands(ln, k.Config()); done <- struct{}{} }()
	go func() { s.Run(ctx); done <- struct{}{} }()
	t.Cleanup(func() { cancel(); _ = ln.Close(); <-done; <-done })
	select {
	case <-s.Loaded(): // whoever comes from now on sees what is in the folder
	case <-time.After(patience):
		t.Fatal("the folder is not read")
	}
	return s
}

func (s *stand) order(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path != "/order-plz" {
		return false
	}
	say := s.answer.Load()
	if say == nil {
		s.orders.Add(1) // or more: the authority refuses some of its own numbers, so that clients learn to ask again
		return false
	}
	s.refused.Add(1)
	(*say)(w)
	return true
}

// limited answers as RFC 8555 says when somebody asks too often.
func limited(retryAfter string) *func(http.ResponseWriter) {
	say := func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Retry-After", retryAfter)
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = fmt.Fprint(w, `{"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many certificates for this name", "status": 429}`)
	}
	return &say
}

func (s *stand) shown() *x509.Certificate {
	s.Helper()
	dialer := &net.Dialer{Timeout: patience}
	c, err := tls.DialWithDialer(dialer, "tcp", s.address, &tls.Config{ServerName: s.opts.Domains[0], RootCAs: s.roots})
	if err != nil {
		return nil
	}
	defer func() { _ = c.Close() }()
	return c.ConnectionState().PeerCertificates[0]
}

// until waits for something; while there is a certificate of before, every client sees that or a newer one.
func (s *stand) until(what string, is func() bool) {
	s.Helper()
	for end := time.Now().Add(3 * patience); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			s.Fatalf("not within %v: %s; %+v; the log says\n%s", 3*patience, what, s.Issued(), s.end())
		}
		if s.old != nil && s.shown() == nil {
			s.Fatalf("a client is turned away before %s", what)
		}
	}
}

// end is the end of the log.
func (s *stand) end() string {
	text := s.log.String()
	return text[max(len(text)-2000, 0):]
}

func (s *stand) renewed() bool {
	c := s.shown()
	return c != nil && (s.old == nil || !c.Equal(s.old))
}

func (s *stand) told(text string) int { return strings.Count(s.log.String(), text) }
