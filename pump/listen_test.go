package pump

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
)

func taken(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// Every port that cannot be had is told of at once, with what would be right.
func TestPortsInUse(t *testing.T) {
	a, b := taken(t), taken(t)
	_, err := Start(parse(t, fmt.Sprintf("listen: ['%s']\nadmin: {listen: '%s'}\nstreams: []\n", a.Addr(), b.Addr())), Options{})
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("error %v, want one of a port in use", err)
	}
	for _, want := range []string{a.Addr().String(), b.Addr().String(), "set port or listen to a free one", "set admin.listen to a free one"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}

func TestListenErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"in use", syscall.EADDRINUSE, "ss -ltnp"},
		{"not allowed", syscall.EACCES, "CAP_NET_BIND_SERVICE"},
		{"not ours", syscall.EADDRNOTAVAIL, "does not have that address"},
		{"no such host", &net.DNSError{Name: "nix"}, "cannot be resolved"},
		{"other", syscall.EIO, "input/output error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := explainListen(publicDoor, "192.0.2.1:80", c.err)
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "192.0.2.1:80") || !errors.Is(err, c.err) {
				t.Errorf("%v, want the address and %q", err, c.want)
			}
		})
	}
}

// The demo goes on when its admin port is taken.
func TestAdminOptional(t *testing.T) {
	p, err := Start(parse(t, fmt.Sprintf("listen: ['127.0.0.1:0']\nadmin: {listen: '%s'}\nstreams: []\n", taken(t).Addr())), Options{AdminOptional: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Stop(t.Context()) }()
	if p.AdminAddr() != nil || p.Addr() == nil {
		t.Errorf("admin at %v, public at %v", p.AdminAddr(), p.Addr())
	}
}

func TestDualStack(t *testing.T) {
	p, err := Start(parse(t, "listen: [':0']\nadmin: {listen: 'off'}\nstreams: []\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Stop(t.Context()) }()
	_, port, _ := net.SplitHostPort(p.Addr().String())
	for _, host := range []string{"127.0.0.1", "::1"} {
		conn, err := net.Dial("tcp", net.JoinHostPort(host, port))
		if errors.Is(err, syscall.EADDRNOTAVAIL) {
			t.Skip("no IPv6 here")
		}
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		_ = conn.Close()
	}
}
