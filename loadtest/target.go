package loadtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/stream-pump/stream-pump/telemetry"
)

// target is one address of a stream. It is read-only once it is in use.
type target struct {
	url   *url.URL
	host  string // without brackets
	port  string
	tls   bool
	addr  netip.AddrPort // where to connect: the server, or the proxy
	index int            // among the addresses of the run
}

// parseTarget reads an address: http, mmsh, mms and mmst (which all mean HTTP here), https and mmshs (TLS).
func parseTarget(address string) (*target, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("address %q: not understood", telemetry.Redact(address))
	}
	t := &target{url: u, host: u.Hostname(), port: u.Port()}
	switch strings.ToLower(u.Scheme) {
	case "http", "mmsh", "mms", "mmst":
		setDefault(&t.port, "80")
	case "https", "mmshs", "mmss":
		t.tls = true
		setDefault(&t.port, "443")
	default:
		return nil, fmt.Errorf("address %q: neither mmsh:// nor http:// nor https://", telemetry.Redact(address))
	}
	if t.host == "" {
		return nil, fmt.Errorf("address %q: names no host", telemetry.Redact(address))
	}
	return t, nil
}

func (t *target) address() string { return net.JoinHostPort(t.host, t.port) }

// hostHeader is what the Host line says.
func (t *target) hostHeader() string { return t.address() }

// path is the request target, with the query.
func requestPath(u *url.URL) string {
	p := u.EscapedPath()
	if p == "" {
		p = "/"
	}
	if u.RawQuery != "" {
		p += "?" + u.RawQuery
	}
	return p
}

// shown is the address without secrets.
func (t *target) shown() string { return telemetry.Redact(t.url.String()) }

const resolveTimeout = 5 * time.Second

// resolve finds where to connect for a host and port.
func resolve(ctx context.Context, host, port string) (netip.AddrPort, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	n, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return netip.AddrPortFrom(ip.Unmap(), uint16(n)), nil
	}
	list, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if len(list) == 0 {
		return netip.AddrPort{}, errors.New(host + " has no address")
	}
	return netip.AddrPortFrom(list[0].Unmap(), uint16(n)), nil
}

// withPlainExtension is the address of the plain ASF form of a stream.
func (t *target) withPlainExtension() *target {
	if strings.HasSuffix(strings.ToLower(t.url.Path), ".asf") {
		return t
	}
	u := *t.url
	u.Path, u.RawPath = strings.TrimSuffix(u.Path, "/")+".asf", ""
	c := *t
	c.url = &u
	return &c
}
