package acmetest

import (
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

// Serve makes the program an authority, and does not return, if it was started to be one.
func Serve() {
	text, ok := os.LookupEnv(variable)
	if !ok {
		return
	}
	var o order
	err := json.Unmarshal([]byte(text), &o)
	if err == nil {
		err = serve(o)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func serve(o order) error {
	names, err := serveNames()
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	logger := log.New(os.Stderr, "", 0)
	store := db.NewMemoryStore()
	issuer := ca.New(logger, store, "", "ecdsa", 0, 1, map[string]ca.Profile{
		"default": {Description: "the only one", ValidityPeriod: uint64(o.Validity / time.Second)},
	})
	front := wfe.New(logger, store, va.New(logger, o.HTTPPort, o.TLSPort, false, names, store), issuer, []string{"authority.test"}, false, false, 1, 1)
	line, err := json.Marshal(answer{
		Directory: "https://" + ln.Addr().String() + wfe.DirectoryPath,
		Root:      issuer.GetRootCert(0).Cert.Raw,
	})
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	return http.ServeTLS(ln, front.Handler(), o.Cert, o.Key)
}

// serveNames answers that every name is 127.0.0.1, over UDP and TCP, and returns where.
func serveNames() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	conn, err := net.ListenPacket("udp", ln.Addr().String())
	if err != nil {
		return "", err
	}
	for _, server := range []*dns.Server{{PacketConn: conn}, {Listener: ln}} {
		server.Handler = dns.HandlerFunc(loopback)
		go func() { _ = server.ActivateAndServe() }()
	}
	return ln.Addr().String(), nil
}

func loopback(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(q)
	if len(q.Question) == 1 && q.Question[0].Qtype == dns.TypeA {
		head := dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}
		m.Answer = append(m.Answer, &dns.A{Hdr: head, A: net.IPv4(127, 0, 0, 1)})
	}
	_ = w.WriteMsg(m)
}
