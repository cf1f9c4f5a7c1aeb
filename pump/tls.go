package pump

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"time"

	"github.com/stream-pump/stream-pump/certificate"
	"github.com/stream-pump/stream-pump/certificate/acme"
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

// keepCertificate reads key and certificate, or finds out who issues them, and looks
// after them until the pump stops. The listeners are open.
func (p *Pump) keepCertificate(c *config.Config) error {
	o := certificate.Options{Every: c.SSLWatch.D(), Log: p.log}
	if c.ACME.On() {
		m, err := p.newACME(c)
		if err != nil {
			return err
		}
		p.acme, o.Issuer = m, m
	}
	k, err := certificate.New(certificateFiles(c), o)
	if err != nil {
		return err
	}
	p.keeper = k
	p.untilStop, p.unwatch = context.WithCancel(context.Background())
	p.serving.Go(func() { k.Watch(p.untilStop) })
	return nil
}

// newACME makes what gets certificates by itself; runACME sets it to work.
func (p *Pump) newACME(c *config.Config) (*acme.Manager, error) {
	o := acme.Options{
		Domains: c.ACME.Domains, Email: c.ACME.Email, Directory: c.ACME.Directory, Folder: c.ACME.Folder,
		Challenges: c.ACME.Challenges, Log: p.log,
	}
	if c.ACME.CA != "" {
		roots, err := certificate.Authorities(c.ACME.CA)
		if err != nil {
			return nil, fmt.Errorf("reading acme.ca: %w", err)
		}
		o.Roots = roots
	}
	if a, ok := p.Addr().(*net.TCPAddr); ok {
		o.HTTPPort = a.Port
	}
	if a, ok := p.TLSAddr().(*net.TCPAddr); ok {
		o.TLSPort = a.Port
		if !a.IP.IsUnspecified() {
			o.Host = a.IP.String()
		}
	}
	return acme.New(o), nil
}

// loadTime is how long a start waits for certificates that are in the folder already.
const loadTime = 5 * time.Second

// runACME gets and renews certificates until the pump stops. Whoever the program is to be,
// it is by now.
func (p *Pump) runACME(c *config.Config) error {
	if p.acme == nil {
		return nil
	}
	if err := acme.Prepare(c.ACME.Folder); err != nil {
		return p.explainDenied(err)
	}
	p.serving.Go(func() { p.acme.Run(p.untilStop) })
	t := time.NewTimer(loadTime)
	defer t.Stop()
	select {
	case <-p.acme.Loaded(): // and whoever comes first finds a certificate
	case <-t.C:
	}
	return nil
}

// challenges answers an authority, nil when there is none.
func (p *Pump) challenges() http.Handler {
	if p.acme == nil {
		return nil
	}
	return p.acme
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

// CertificateInfo is a certificate of the TLS port in the API.
type CertificateInfo struct {
	Names     []string `json:"names"`            // host names and addresses that it is for
	InForce   bool     `json:"in_force"`         // false: not issued yet
	Issuer    string   `json:"issuer,omitempty"` // this and what follows: of the one in force
	Serial    string   `json:"serial,omitempty"` // hexadecimal
	SHA256    string   `json:"sha256,omitempty"` // of the whole certificate, hexadecimal
	NotBefore string   `json:"not_before,omitempty"`
	NotAfter  string   `json:"not_after,omitempty"`
	DaysLeft  float64  `json:"days_left"`         // below 0: expired
	Problem   string   `json:"problem,omitempty"` // why a newer one is not in force
	Refused   uint64   `json:"refused"`           // times a new one was refused, or could not be got
}

// Certificates describes the certificates of the TLS ports, those included that an authority
// has yet to issue; none without TLS.
func (p *Pump) Certificates() []CertificateInfo {
	list := []CertificateInfo{}
	if p.keeper == nil {
		return list
	}
	for _, s := range p.keeper.States() {
		info := CertificateInfo{Names: s.Names, InForce: s.InForce, Problem: telemetry.RedactText(s.Problem), Refused: s.Refused}
		if s.InForce {
			info.Issuer, info.Serial, info.SHA256, info.DaysLeft = s.Issuer, s.Serial, s.SHA256, s.DaysLeft
			info.NotBefore, info.NotAfter = s.NotBefore.UTC().Format(time.RFC3339), s.NotAfter.UTC().Format(time.RFC3339)
		}
		list = append(list, info)
	}
	return list
}

func (a *admin) listCertificates(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, a.pump.Certificates())
}

// exportCertificate adds the certificate to the metrics page.
func (p *Pump) exportCertificate() {
	if p.keeper == nil {
		return
	}
	p.metrics.GaugeFunc("stream_pump_certificate_expiry_days", "Days until the first certificate of the TLS port expires; below 0: it has. NaN: there is none yet.", p.daysLeft)
	p.metrics.CounterFunc("stream_pump_certificates_refused_total", "New certificates that were broken or expired, so that the old one stayed, and attempts to get one that failed.", p.keeper.Refused)
}

// daysLeft is of the certificate that ends first.
func (p *Pump) daysLeft() float64 {
	least := math.NaN()
	for _, s := range p.keeper.States() {
		if !s.InForce {
			continue
		}
		if math.IsNaN(least) || s.DaysLeft < least {
			least = s.DaysLeft
		}
	}
	return least
}
