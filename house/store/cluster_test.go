package store

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/internal/porttest"
)

const clusterSecret = "between houses"

// openCluster opens the stores of n houses whose servers form a cluster over TLS.
func openCluster(t *testing.T, n int) []Store {
	t.Helper()
	return openClusterOf(t, n, clusterTLS(t), nil)
}

func openClusterOf(t *testing.T, n int, config *tls.Config, log *slog.Logger) []Store {
	t.Helper()
	var addresses []string
	for range n {
		addresses = append(addresses, fmt.Sprintf("127.0.0.1:%d", porttest.Free(t)))
	}
	stores := make([]Store, n)
	errs := make([]error, n)
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	var all sync.WaitGroup
	for i := range n {
		routes := append(append([]string{}, addresses[:i]...), addresses[i+1:]...)
		dir := t.TempDir()
		all.Go(func() {
			stores[i], errs[i] = Open(ctx, Options{
				Name: fmt.Sprintf("house-%d", i), Prefix: "test", Replicas: n, Dir: dir,
				Cluster: Cluster{Listen: addresses[i], Routes: routes, Secret: clusterSecret, TLS: config}, Log: log,
			})
		})
	}
	all.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("house %d: %v", i, err)
		}
		t.Cleanup(func() { _ = stores[i].Close() })
	}
	return stores
}

// clusterTLS makes an authority and one certificate for all houses.
func clusterTLS(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "houses"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, RootCAs: pool, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12,
	}
}

// What one house puts, all others see, and one of three may die without a loss.
func TestThreeHousesAreOneStore(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	stores := openCluster(t, 3)
	ctx := within(t, 90*time.Second)
	w, err := stores[2].Watch(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	for c := next(t, w); !c.Whole; c = next(t, w) {
	}
	r, err := stores[0].Put(ctx, "a.x", []byte("1"), Absent)
	if err != nil {
		t.Fatal(err)
	}
	if c := next(t, w); c.Key != "a.x" || c.Revision != r {
		t.Errorf("%+v", c)
	}
	heard := make(chan string, 1)
	stop, err := stores[1].Bus().Subscribe("x", func(_ string, data []byte) { heard <- string(data) })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for done := false; !done; { // a subscription takes a moment to reach the other servers
		if err := stores[0].Bus().Publish("x", []byte("hello")); err != nil {
			t.Fatal(err)
		}
		select {
		case <-heard:
			done = true
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			t.Fatal("the word does not arrive")
		}
	}
	if err := stores[0].Close(); err != nil {
		t.Fatal(err)
	}
	if err := retry(ctx, func() error { _, err := stores[1].Put(ctx, "a.x", []byte("2"), r); return err }); err != nil {
		t.Fatalf("with two of three: %v", err)
	}
	if c := next(t, w); string(c.Value) != "2" {
		t.Errorf("%+v", c)
	}
	if !stores[1].Bus().Connected() {
		t.Error("the second is connected to the third")
	}
	if err := stores[1].Close(); err != nil {
		t.Fatal(err)
	}
	for stores[2].Bus().Connected() {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			t.Fatal("the last one does not find out that it is alone")
		}
	}
	short, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, err := stores[2].Put(short, "a.x", []byte("3"), Any); err == nil {
		t.Error("one of three acknowledges a change")
	}
}

// retry tries until ctx ends: after a death a new leader has to be found.
func retry(ctx context.Context, f func() error) error {
	for {
		err := f()
		if err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}
