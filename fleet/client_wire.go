package fleet

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"syscall"
	"time"
)

// Times of one request.
const (
	requestTime = 10 * time.Second
	dialTime    = 5 * time.Second
)

// wire is how a client reaches houses, as one identity.
type wire struct{ http *http.Client }

func (w *wire) close() { w.http.CloseIdleConnections() }

// rewire makes the connections anew, for another identity.
func (c *Client) rewire(t *tls.Config) {
	dialer := &net.Dialer{Timeout: dialTime, KeepAlive: requestTime}
	tr := &http.Transport{
		Proxy: c.opts.Proxy, TLSClientConfig: t, TLSHandshakeTimeout: requestTime, IdleConnTimeout: time.Minute,
		MaxIdleConnsPerHost: 2, DialContext: dialer.DialContext, Protocols: new(http.Protocols),
		ResponseHeaderTimeout: requestTime, MaxResponseHeaderBytes: 64 << 10,
	}
	// Events and telemetry on a connection each: what blocks one does not block the other.
	tr.Protocols.SetHTTP1(true)
	plain := tr.Clone()
	plain.Proxy, plain.DialContext = nil, (&net.Dialer{Timeout: dialTime, Control: onlyLoopback}).DialContext
	if dial := c.opts.Dial; dial != nil {
		plain.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }
	}
	old := c.wire.Swap(&wire{&http.Client{
		Transport: bySchemes{tr, plain},
		// A key goes where it was meant to go, and nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}})
	if old != nil {
		old.close()
	}
}

// bySchemes sends what goes without TLS its own way.
type bySchemes struct{ tls, plain *http.Transport }

func (b bySchemes) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "http" {
		return b.plain.RoundTrip(r)
	}
	return b.tls.RoundTrip(r)
}

func (b bySchemes) CloseIdleConnections() {
	b.tls.CloseIdleConnections()
	b.plain.CloseIdleConnections()
}

var errNotLoopback = errors.New("without TLS the key goes to loopback only")

// onlyLoopback looks at the address that a name has led to.
func onlyLoopback(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil || !a.Addr().Unmap().IsLoopback() {
		return errNotLoopback
	}
	return nil
}

// trust returns how the house's certificate is verified: by roots, or by the one authority
// that an invite names.
func trust(roots *x509.CertPool, invite Invite, houses []string) *tls.Config {
	t := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	if roots != nil || !invite.Pinned() {
		return t
	}
	t.InsecureSkipVerify = true // #nosec G402 -- VerifyConnection does it, with the authority that is to be found in the chain
	t.VerifyConnection = func(s tls.ConnectionState) error {
		between, root := x509.NewCertPool(), x509.NewCertPool()
		found := false
		for _, cert := range s.PeerCertificates {
			if invite.IsCA(cert) {
				root.AddCert(cert)
				found = true
				continue
			}
			between.AddCert(cert)
		}
		if !found {
			return errOtherHouse
		}
		if _, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: root, Intermediates: between}); err != nil {
			return err
		}
		return isNamed(s, houses)
	}
	return t
}

// isNamed wants the certificate to be for the host that was asked. The state of a connection
// does not tell an address, only a name.
func isNamed(s tls.ConnectionState, houses []string) error {
	if s.ServerName != "" {
		return s.PeerCertificates[0].VerifyHostname(s.ServerName)
	}
	err := errOtherHouse
	for _, at := range houses {
		u, parseErr := url.Parse(at)
		if parseErr != nil || net.ParseIP(u.Hostname()) == nil {
			continue
		}
		if err = s.PeerCertificates[0].VerifyHostname(u.Hostname()); err == nil {
			return nil
		}
	}
	return err
}

var errOtherHouse = errors.New("the certificate is not of the authority that the invite names: this is another house, or somebody between")

// call sends a message and reads the answer. Errors of the house are of type [Error].
func (c *Client) call(ctx context.Context, address string, auth func(*http.Request), in, out any) error {
	body, encoding, err := Encode(in)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if encoding != "" {
		r.Header.Set("Content-Encoding", encoding)
	}
	auth(r)
	resp, err := c.send(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := Decode(resp.Body, "", out); err != nil {
		return fmt.Errorf("the house's answer: %w", errors.New(err.Error())) // not what the house says of the request
	}
	return nil
}

// send sends a request; an answer other than 200 is an error.
func (c *Client) send(r *http.Request) (*http.Response, error) {
	r.Header.Set("User-Agent", "stream-pump/"+c.opts.Program)
	resp, err := c.wire.Load().http.Do(r)
	if err != nil {
		return nil, unverified(err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, refusal(resp)
}

// unverified adds to an error of verification what to do about it.
func unverified(err error) error {
	var v *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &v) && errors.As(err, &unknown) {
		return fmt.Errorf("%w (nothing was sent; house.ca names the file of its authority, which the house has at /ca.pem)", err)
	}
	return err
}

// maxRefusal bounds the text of an error, in bytes.
const maxRefusal = 16 << 10

// refusal reads why the house did not do what it was asked.
func refusal(resp *http.Response) *Error {
	e := &Error{}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	if err != nil || json.Unmarshal(b, e) != nil || e.Code == "" {
		e = &Error{Code: CodeInternal, Text: "the answer is " + resp.Status + ", as no house says it"}
		if resp.StatusCode >= 300 && resp.StatusCode < 400 {
			e.Text = "the answer is " + resp.Status + ": house.url is not the house's own address"
		}
	}
	e.Status, e.Code, e.Text = resp.StatusCode, Shorten(e.Code), Shorten(e.Text)
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		e.WaitS = max(e.WaitS, s)
	}
	return e
}

// again lets a request go again over another connection when there is no answer, because the house closed the one that it
// went over: for what means the same when it is told twice.
func again(auth func(*http.Request)) func(*http.Request) {
	return func(r *http.Request) {
		auth(r)
		mayGoAgain(r)
	}
}

// mayGoAgain marks a request for net/http; the header itself is not sent.
func mayGoAgain(r *http.Request) { r.Header["Idempotency-Key"] = nil }

// bearer is the authorization of a session or an invite.
func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}
