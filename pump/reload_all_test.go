package pump

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/internal/certtest"
)

// everyKey has another value than the default for each key that can change while the pump runs, house.* aside.
const everyKey = `
ssl_watch: 3s
ssl_client_ca: %[1]s/ca
ssl_client_certificate: require
redirect_404_to: http://example.org/x
trusted_proxies: [192.0.2.1]
use_http_proxy: true
http_proxy_host: proxy.example
http_proxy_port: 3128
use_proxy_for_local_addresses: true
id_parameter: who
signing: {keys: [{name: may, secret: "0123456789abcdef"}]}
hook:
  secret: abcdefghijklmnop
  on_publish: {url: "http://127.0.0.1:1/", timeout: 1s, cache: 1s, fail: open}
  on_unpublish: {url: "http://127.0.0.1:1/", timeout: 1s}
  on_play: {url: "http://127.0.0.1:1/", timeout: 1s, cache: 1s, fail: open}
  on_stop: {url: "http://127.0.0.1:1/", timeout: 1s}
snmp: {agentx: "tcp:127.0.0.1:1", oid: 1.3.6.1.4.1.8072.9999.9999.8087}
log: {level: debug}
limits:
  viewers: 1000
  viewers_per_address: 900
  bandwidth: 1G
  bandwidth_per_address: 900M
  connections: 900
  connections_per_address: 800
  connections_per_second: 1000
  connections_per_second_per_address: 900
  unfinished_heads: 700
  unfinished_heads_per_address: 600
  session: 1h
  session_per_address: 2h
  pumps: {count: 3, per_address: 2, bandwidth: 100M, networks: [127.0.0.0/8]}
uplink: 2G
pulse: {min: 20ms, max: 300ms}
burst: {max: 1s, bandwidth: 100M, bandwidth_per_address: 90M}
lag: {max: 8s}
stall: {timeout: 20s}
ring: {packets: 4096, bytes: 16MiB, duration: 19s}
request: {head_timeout: 5s, head_size: 8KiB, idle_timeout: 30s}
push: {idle_timeout: 30s, session_timeout: 1m}
pull: {timeout: 10s, backoff: {min: 2s, max: 20s}}
drain: {timeout: 5s}
hold: 20s
streams:
  - {path: new, type: test_card}
  - path: every
    type: file_loop
    file: ../internal/testcard/testcard.asf
    sources: [{type: test_card}]
    name: All of it
    return_after: 10s
    hold: 5s
    proxy: true
    play: {users: [{name: a, password: secret}], allow_basic: true, signed: true, allow: [127.0.0.0/8], deny: [192.0.2.0/24]}
    limits: {viewers: 10, viewers_per_second: 9, bandwidth: 9M, pumps: 1, session: 50m}
    lag: {max: 7s}
    burst: {max: 1s, bandwidth: 5M}
  - {path: pull, type: mmsh_pull, source_options: {url: "mmsh://127.0.0.1:1/x"}}
  - path: push
    type: mmsh_push
    takeover: true
    publish:
      user: a
      password: bcdefgh
      allow_basic: true
      users: [{name: b, password: cdefghi}]
      tokens: [{name: t, token: "0123456789abcdef"}]
      certificates: ["*"]
      allow: [127.0.0.0/8]
  - {path: keep, type: test_card}
`

const fewKeys = `
streams:
  - {path: keep, type: test_card}
  - {path: every, type: test_card}
  - {path: gone, type: test_card}
  - {path: pull, type: test_card}
  - {path: push, type: mmsh_push}
`

// Every key that can change does, in one reload, and back: who watches a stream that stays misses nothing, whose source is another one
// goes on, and who watches one that is gone gets its end. Then both files come in turns, twenty reloads at once from everywhere.
func TestReloadOfEveryKeyAtOnce(t *testing.T) {
	dir := t.TempDir()
	authority := certtest.NewAuthority(t, "authority")
	certtest.WriteFile(t, dir, "ca", authority.PEM())
	head := fmt.Sprintf("ssl: true\nssl_port: %d\n", freePort(t))
	var files [2]string
	for i, text := range []string{fewKeys, "admin: {listen: 127.0.0.1:0, allow: [127.0.0.0/8]}\n" + fmt.Sprintf(everyKey, dir)} {
		one := filepath.Join(dir, fmt.Sprint(i))
		if err := os.Mkdir(one, 0o700); err != nil {
			t.Fatal(err)
		}
		certtest.Write(t, one, authority.Issue(t, certtest.Spec{}))
		files[i] = "listen: [127.0.0.1:0]\n" + head + fmt.Sprintf("ssl_key: %s/my.key\nssl_cert: %[1]s/my.cert\n", one)
		if i == 0 {
			files[i] += "admin: {listen: 127.0.0.1:0}\n"
		}
		files[i] += text
	}
	before, after := parse(t, files[0]), parse(t, files[1])
	changed := map[string]bool{}
	for _, c := range config.Diff(before, after).Changes() {
		if c.Effect == config.EffectRestart {
			t.Fatalf("%s needs a restart", c)
		}
		changed[c.Key] = true
	}
	for key := range changeable(reflect.TypeFor[config.Config](), "") {
		if !changed[key] && !strings.HasPrefix(key, "house.") && key != "enabled" {
			t.Errorf("%s does not change in this test", key)
		}
	}

	w := newWorldOf(t, files[0])
	write := func(i int) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.file = files[i]
	}
	var viewers = map[string]*viewer{}
	for _, path := range []string{"keep", "every", "gone"} {
		w.awaitLive(path)
		viewers[path] = w.play(path)
		viewers[path].packets(5)
	}
	for i := range 4 {
		write((i + 1) % 2)
		if a := w.ask("POST", "/api/v1/reload"); a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if i == 0 {
			viewers["gone"].end()
		}
		viewers["keep"].packets(10)
		viewers["every"].packets(30)
	}
	for i := range 6 {
		write((i + 1) % 2)
		var done sync.WaitGroup
		for range 10 {
			done.Go(func() {
				if a := w.ask("POST", "/api/v1/reload"); a.status != http.StatusOK {
					t.Errorf("%d %s", a.status, a.body)
				}
			})
			done.Go(func() {
				select {
				case w.signals <- syscall.SIGHUP:
				default: // as many as may wait do
				}
			})
		}
		done.Wait()
		viewers["keep"].packets(5)
		viewers["every"].packets(30)
	}
	w.eventually("the last file is in force", func() bool {
		a := w.ask("POST", "/api/v1/diff")
		return a.status == http.StatusOK && strings.Contains(string(a.body), `"changes": []`)
	})
	if c := viewers["keep"].dec.Counters(); c.Gaps != 0 || c.Missing != 0 {
		t.Errorf("who watched the stream that stayed missed something: %+v", c)
	}
}

// changeable are the keys of a type of settings that a reload takes, those of streams beside those of the pump.
func changeable(of reflect.Type, under string) map[string]bool {
	all := map[string]bool{}
	for i := range of.NumField() {
		f := of.Field(i)
		key := f.Tag.Get("yaml")
		effect, tagged := f.Tag.Lookup("reload")
		within := map[string]bool{}
		switch {
		case key == "-" || tagged && effect == string(config.EffectRestart):
		case tagged:
			within[under+key] = true
		case f.Type.Kind() == reflect.Slice:
			within = changeable(f.Type.Elem(), "")
		default:
			within = changeable(f.Type, under+key+".")
		}
		for k := range within {
			all[k] = true
		}
	}
	return all
}
