package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// certificate makes a self-signed certificate for 127.0.0.1, which is its own authority, and returns the files' paths.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "stream-pump test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", secret)
}

// securePump runs a pump with a TLS port too, which shows the test card.
func securePump(t *testing.T) (pump *PumpProc, port int, cert string) {
	t.Helper()
	port = freePort(t)
	cert, key := certificate(t)
	pump = Pump(t, fmt.Sprintf(`
ssl: true
ssl_port: %d
ssl_key: %s
ssl_cert: %s
streams:
  - {name: Card, type: test_card, path: card}`, port, key, cert))
	pump.WaitState(t, "card", "live", 10*time.Second)
	return pump, port, cert
}

// Over TLS FFmpeg plays plain ASF, and MMSH comes as without.
func TestTLS(t *testing.T) {
	need(t, "ffmpeg")
	t.Parallel()
	_, port, _ := securePump(t)
	ffmpeg := StartFFmpegPlay(t, fmt.Sprintf("https://127.0.0.1:%d/streams/card.asf", port), watch, "-tls_verify", "0")
	const packets = 100
	frames := watchRaw(t, port, "card", true, 20*time.Second, func(f []rawFrame) bool { return len(f) > packets })
	if len(frames) > packets {
		if frames[0].kind != 'H' || !keyFrames(t, frames[0].payload)(frames[1]) {
			t.Errorf("MMSH over TLS begins with $%c and no key frame", frames[0].kind)
		}
		for i, f := range frames[2:] {
			if f.location != frames[i+1].location+1 {
				t.Errorf("LocationId %d comes after %d", f.location, frames[i+1].location)
			}
		}
	}
	r := ffmpeg()
	r.CheckFrom(t, r.Settled(), watch)
}
