package acme

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/certificate"
	"github.com/stream-pump/stream-pump/internal/acmetest"
)

// Two pumps have one folder, as behind a balancer, or while one hands over to the next: they take turns by the locks in
// it, so that one certificate is asked for and both show it. The one that is asked may answer a challenge that the other
// has been set.
func TestTwoAtOneFolder(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().(*net.TCPAddr).Port
	authority := acmetest.Start(t, 1, port, time.Hour)
	roots, err := certificate.Authorities(authority.CA)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "acme")
	if err := Prepare(folder); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var two [2]*Manager
	for i := range two {
		two[i] = New(Options{
			Domains: []string{"pump.test"}, Directory: authority.Directory, Roots: roots, Folder: folder,
			Challenges: []string{TLSALPN}, Host: "127.0.0.1", TLSPort: port, Every: time.Hour, Log: slog.New(slog.DiscardHandler),
		})
	}
	k, err := certificate.New(certificate.Files{}, certificate.Options{Issuer: two[0]}) // whom the authority reaches
	if err != nil {
		t.Fatal(err)
	}
	all.Go(func() { shakeHands(ln, k.Config()) })
	for _, m := range two {
		all.Go(func() { m.Run(ctx) })
	}
	defer func() { cancel(); _ = ln.Close(); all.Wait() }()

	var have [2]certificate.Issued
	for end := time.Now().Add(patience); have[0].Leaf == nil || have[1].Leaf == nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("one is without a certificate: %+v", have)
		}
		for i, m := range two {
			have[i] = m.Issued()[0]
		}
	}
	if !have[0].Leaf.Equal(have[1].Leaf) {
		t.Error("each has asked for a certificate of its own")
	}
	if n := two[0].Failures() + two[1].Failures(); n != 0 {
		t.Errorf("%d attempts have failed: %q, %q", n, have[0].Problem, have[1].Problem)
	}
}
