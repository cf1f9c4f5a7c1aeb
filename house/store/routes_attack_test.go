package store

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/stream-pump/stream-pump/internal/worldtest"
)

// besieged is a cluster whose routes' port is attacked.
type besieged struct {
	t      *testing.T
	stores []*natsStore
	config *tls.Config
	log    *worldtest.Log
}

func newBesieged(t *testing.T) *besieged {
	b := &besieged{t: t, config: clusterTLS(t), log: &worldtest.Log{}}
	for _, s := range openClusterOf(t, 3, b.config, slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))) {
		b.stores = append(b.stores, s.(*natsStore))
	}
	return b
}

func (b *besieged) routes() string { return b.stores[0].opts.Cluster.Listen }

// stands checks that the cluster is what it was: it takes changes, and has nobody more.
func (b *besieged) stands(what string) {
	b.t.Helper()
	ctx := within(b.t, 60*time.Second)
	for i, s := range b.stores {
		if n, _ := s.embedded.partners(); n != 2 {
			b.t.Errorf("%s: house %d has %d partners", what, i, n)
		}
	}
	if _, err := b.stores[0].Put(ctx, "a.x", []byte(what), Any); err != nil {
		b.t.Errorf("%s: a change: %v", what, err)
	}
	if e, err := b.stores[1].Get(ctx, "a.x"); err != nil || string(e.Value) != what {
		b.t.Errorf("%s: it is %q, %v", what, e.Value, err)
	}
	if l := b.log.String(); strings.Contains(l, clusterSecret) || strings.Contains(l, url.QueryEscape(clusterSecret)) {
		b.t.Errorf("%s: the secret is in the log", what)
	}
}

// rogue is a real server of NATS that wants to join.
func (b *besieged) rogue(c Cluster) (*server.Server, *worldtest.Log) {
	b.t.Helper()
	o := &server.Options{ServerName: "rogue", NoSigs: true}
	if err := c.apply(o, "test", "any"); err != nil {
		b.t.Fatal(err)
	}
	s, err := server.NewServer(o)
	if err != nil {
		b.t.Fatal(err)
	}
	l := &worldtest.Log{}
	says := newServerLog(slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})))
	s.SetLoggerV2(says, false, false, false)
	s.Start()
	b.t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
		says.repeats.Close()
	})
	if !s.ReadyForConnections(30 * time.Second) {
		b.t.Fatal("the rogue does not come up")
	}
	return s, l
}

func await(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !f(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not happen: %s", what)
		}
	}
}

// The port that a house's server listens at for those of other houses is for them alone.
func TestThePortBetweenHouses(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the term of a handshake")
	}
	b := newBesieged(t)
	for name, attack := range map[string]func(*testing.T, *besieged){
		"noise is hung up on": noiseIsHungUpOn, "no client gets in": theClientsPortIsTheHousesOwn, "no stranger joins": noStrangerJoins,
	} {
		t.Run(name, func(t *testing.T) {
			of := *b
			of.t = t
			attack(t, &of)
		})
	}
}

// A server that has not both the secret and a certificate of the houses' authority becomes no
// member of their cluster, and hears nothing of what they say; the same server with both does.
func noStrangerJoins(t *testing.T, b *besieged) {
	stranger := clusterTLS(t)
	trusting := func(c *tls.Config) *tls.Config { // it does not care whom it speaks to
		c = c.Clone()
		c.InsecureSkipVerify = true // #nosec G402 -- whoever attacks does not care
		return c
	}
	nobody := trusting(b.config)
	nobody.Certificates = nil
	listen := func() string { return "127.0.0.1:-1" }
	for name, c := range map[string]Cluster{
		"a wrong secret":                   {Secret: "between houses?", TLS: b.config},
		"no secret":                        {TLS: b.config},
		"a certificate of somebody else":   {Secret: clusterSecret, TLS: trusting(stranger)},
		"no certificate":                   {Secret: clusterSecret, TLS: nobody},
		"the secret, and no TLS":           {Secret: clusterSecret},
		"neither secret nor certificate":   {TLS: nobody},
		"an authority that is not houses'": {Secret: clusterSecret, TLS: stranger},
	} {
		t.Run(name, func(t *testing.T) {
			c.Listen, c.Routes = listen(), []string{b.routes()}
			s, said := b.rogue(c)
			nc, err := nats.Connect("", nats.InProcessServer(s), nats.UserInfo(clientUser, "any"))
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			heard, err := nc.SubscribeSync(">")
			if err != nil {
				t.Fatal(err)
			}
			await(t, "it is refused, or refuses", func() bool { return strings.Contains(said.String(), "Router connection closed") })
			if err := b.stores[1].Bus().Publish("x", []byte("hello")); err != nil {
				t.Error(err)
			}
			b.stands(name)
			if n := s.NumRoutes(); n != 0 {
				t.Errorf("it has %d routes", n)
			}
			if m, err := heard.NextMsg(50 * time.Millisecond); err == nil {
				t.Errorf("it hears %s: %q", m.Subject, m.Data)
			}
		})
	}
	s, _ := b.rogue(Cluster{Listen: listen(), Routes: []string{b.routes()}, Secret: clusterSecret, TLS: b.config})
	await(t, "who has both is a member", func() bool { return s.NumRoutes() > 0 })
	s.Shutdown()
	await(t, "and has left again", func() bool { n, _ := b.stores[0].embedded.partners(); return n == 2 })

}

// Garbage, words of the protocol out of turn, and silence, with TLS and without, are all hung up
// on within seconds; a thousand of them hold up no change, and are not a thousand lines in the log.
func noiseIsHungUpOn(t *testing.T, b *besieged) {
	plain := func() net.Conn {
		c, err := net.Dial("tcp", b.routes())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
		return c
	}
	secure := func(certificates []tls.Certificate) net.Conn {
		return tls.Client(plain(), &tls.Config{InsecureSkipVerify: true, Certificates: certificates}) // #nosec G402 -- whoever attacks does not care
	}
	connect := func(name, user, pass string) string {
		return fmt.Sprintf("CONNECT {\"verbose\":false,\"user\":%q,\"pass\":%q,\"name\":%q,\"cluster\":\"test\",\"lnoc\":true}\r\nPING\r\nRS+ $G >\r\n", user, pass, name)
	}
	attacks := map[string]func() net.Conn{
		"without TLS": plain, "with TLS, without a certificate": func() net.Conn { return secure(nil) },
		"with TLS and a certificate": func() net.Conn { return secure(b.config.Certificates) },
	}
	var all sync.WaitGroup
	hungUp := func(what string, c net.Conn, text string) {
		all.Go(func() {
			_, _ = io.WriteString(c, text)
			if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: the connection is kept", what)
			}
		})
	}
	for how, dial := range attacks {
		for what, text := range map[string]string{
			"nothing": "", "garbage": "\x00\xff\x16\x03\x01\x02" + strings.Repeat("\xde\xad", 1000) + "\r\n", "a request of HTTP": "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
			"a line without end": "CONNECT {" + strings.Repeat("a", 4<<20), "a wrong secret": connect("rogue", clusterUser, "wrong"), "no secret": connect("rogue", "", ""),
			"a house's name and no secret": connect("house-1", clusterUser, ""), "words of a client": "SUB > 1\r\nPUB $KV.test-state.a.x 1\r\nx\r\n",
			"words of a member": "RS+ $G >\r\nRMSG $G $KV.test-state.a.x 1\r\nx\r\n", "INFO of a member": "INFO {\"server_id\":\"NX\",\"cluster\":\"test\",\"connect_urls\":[\"192.0.2.1:1\"]}\r\n",
			"a number too long": "RMSG $G x 99999999999999999999\r\n",
		} {
			hungUp(what+", "+how, dial(), text)
		}
	}
	lines := strings.Count(b.log.String(), "\n")
	const crowd = 1000
	for range crowd {
		hungUp("one of a thousand", plain(), "")
	}
	b.stands("with a thousand who are silent")
	all.Wait()
	b.stands("after the noise")
	if more := strings.Count(b.log.String(), "\n") - lines; more > crowd/2 {
		t.Errorf("%d lines in the log", more)
	}
}

// The servers of a cluster listen for clients at loopback, because they have to; nobody gets in
// there but the house itself.
func theClientsPortIsTheHousesOwn(t *testing.T, b *besieged) {
	at := b.stores[0].embedded.server.Addr().(*net.TCPAddr)
	if !at.IP.IsLoopback() {
		t.Errorf("it listens at %v", at)
	}
	for name, o := range map[string][]nats.Option{
		"nobody": nil, "a wrong password": {nats.UserInfo(clientUser, "within")}, "the secret of the cluster": {nats.UserInfo(clusterUser, clusterSecret)}, "no password": {nats.UserInfo(clientUser, "")},
	} {
		nc, err := nats.Connect("nats://"+at.String(), append(o, nats.Timeout(30*time.Second))...)
		if err == nil {
			nc.Close()
		}
		if !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.stands("after all of them")
}
