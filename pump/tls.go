package pump

import (
	"context"
	"net/http"
	"time"

	"github.com/stream-pump/stream-pump/certificate"
	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/telemetry"
)

// certificateFiles returns what a configuration says of TLS.
func certificateFiles(c *config.Config) certificate.Files {
	return certificate.Files{
		Key: c.SSLKey, Cert: c.SSLCert,
		ClientCA: c.SSLClientCA, Required: c.SSLClientCertificate == config.ClientRequire,
	}
}

// keepCertificate reads key and certificate, and looks after them until the pump stops.
func (p *Pump) keepCertificate(c *config.Config) error {
	k, err := certificate.New(certificateFiles(c), certificate.Options{Every: c.SSLWatch.D(), Log: p.log})
	if err != nil {
		return err
	}
	p.keeper = k
	ctx, cancel := context.WithCancel(context.Background())
	p.unwatch = cancel
	p.serving.Go(func() { k.Watch(ctx) })
	return nil
}

// withCertificate gives the files of a configuration to the keeper's Reload or Check. A
// certificate that only stays as it is, is a warning.
func (p *Pump) withCertificate(next *config.Config, do func(certificate.Files) error) (warnings []string, err error) {
	err = p.explainDenied(do(certificateFiles(next)))
	if p.keptCertificate(next, err) {
		return []string{"the certificate in force stays: " + telemetry.RedactText(err.Error())}, nil
	}
	return []string{}, err
}

// CertificateInfo is the certificate of the TLS port in the API.
type CertificateInfo struct {
	Names     []string `json:"names"` // host names and addresses that it is for
	Issuer    string   `json:"issuer"`
	Serial    string   `json:"serial"` // hexadecimal
	SHA256    string   `json:"sha256"` // of the whole certificate, hexadecimal
	NotBefore string   `json:"not_before"`
	NotAfter  string   `json:"not_after"`
	DaysLeft  float64  `json:"days_left"`         // below 0: expired
	Problem   string   `json:"problem,omitempty"` // why a newer one is not in force
	Refused   uint64   `json:"refused"`           // times a new one was refused
}

// Certificates describes the certificates of the TLS ports; none without TLS.
func (p *Pump) Certificates() []CertificateInfo {
	list := []CertificateInfo{}
	if p.keeper == nil {
		return list
	}
	s := p.keeper.State()
	return append(list, CertificateInfo{
		Names: s.Names, Issuer: s.Issuer, Serial: s.Serial, SHA256: s.SHA256,
		NotBefore: s.NotBefore.UTC().Format(time.RFC3339), NotAfter: s.NotAfter.UTC().Format(time.RFC3339),
		DaysLeft: s.DaysLeft, Problem: s.Problem, Refused: s.Refused,
	})
}

func (a *admin) listCertificates(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, a.pump.Certificates())
}

// exportCertificate adds the certificate to the metrics page.
func (p *Pump) exportCertificate() {
	if p.keeper == nil {
		return
	}
	p.metrics.GaugeFunc("stream_pump_certificate_expiry_days", "Days until the certificate of the TLS port expires; below 0: it has.",
		func() float64 { return p.keeper.State().DaysLeft })
	p.metrics.CounterFunc("stream_pump_certificates_refused_total", "New certificates that were broken or expired, so that the old one stayed.",
		func() uint64 { return p.keeper.State().Refused })
}
