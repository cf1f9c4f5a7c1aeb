package house

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/stream-pump/stream-pump/house/pki"
)

// WriteAuthority makes an authority for what goes on between houses, and a certificate for
// each of them, and writes them into a folder: houses.pem, HOUSE.pem and HOUSE.key. The
// authority's key is not kept: for one more house all are made anew. It returns the names of
// the files and overwrites none.
func WriteAuthority(dir string, houses []string, now time.Time) ([]string, error) {
	a, err := pki.New(now)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{"houses.pem": a.PEM()}
	order := []string{"houses.pem"}
	for _, name := range houses {
		cert, err := a.Peer([]string{name}, now)
		if err != nil {
			return nil, err
		}
		key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
		if err != nil {
			return nil, fmt.Errorf("writing the key of %s: %w", name, err)
		}
		files[name+".pem"] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})
		files[name+".key"] = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
		order = append(order, name+".pem", name+".key")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder: %w", err)
	}
	for i, name := range order {
		order[i] = filepath.Join(dir, name)
		if err := writeNew(order[i], files[name]); err != nil {
			return nil, err
		}
	}
	return order, nil
}

func writeNew(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
