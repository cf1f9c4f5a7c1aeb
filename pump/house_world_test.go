package pump

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house"
	"github.com/stream-pump/stream-pump/house/live"
	"github.com/stream-pump/stream-pump/house/relay"
	"github.com/stream-pump/stream-pump/internal/worldtest"
)

// estate is a real house that a test can end and start again at the same address.
type estate struct {
	testing.TB
	*house.House
	dir string
	at  string // host:port, of TLS
	log *worldtest.Log

	change func(*config.House)
	embed  func(house.Embedding) (relay.Pump, error)
}

const houseKey = "a key of ottawa"

// roster is what most houses here have.
const ottawa = `[{"id": "ottawa", "key": "` + houseKey + `"}]`

// newEstate starts a house with these pumps and further settings.
func newEstate(t testing.TB, roster, settings string) *estate {
	t.Helper()
	return newEstateWith(t, roster, settings, func(*config.House) {})
}

// newEstateWith is newEstate with settings that no file may have.
func newEstateWith(t testing.TB, roster, settings string, change func(*config.House)) *estate {
	t.Helper()
	return newEstateOf(t, roster, settings, func(e *estate) { e.change = change })
}

func newEstateOf(t testing.TB, roster, settings string, with func(*estate)) *estate {
	t.Helper()
	e := &estate{TB: t, dir: t.TempDir(), at: "127.0.0.1:0", log: &worldtest.Log{}, change: func(*config.House) {}}
	with(e)
	e.write("pumps.json", roster)
	e.write("settings", settings)
	e.start()
	e.at = e.TLSAddr().String()
	t.Cleanup(func() { e.House.Close() })
	return e
}

func (e *estate) write(name, text string) {
	e.Helper()
	if err := os.WriteFile(filepath.Join(e.dir, name), []byte(text), 0o600); err != nil {
		e.Fatal(err)
	}
}

// start starts the house, where it was before.
func (e *estate) start() {
	e.Helper()
	settings, err := os.ReadFile(filepath.Join(e.dir, "settings"))
	if err != nil {
		e.Fatal(err)
	}
	e.write("house.yaml", "listen: ['127.0.0.1:0']\nssl_listen: ['"+e.at+"']\nname: test\ndata: data\nssl_names: [localhost, 127.0.0.1]\npumps_roster_json: pumps.json\n"+string(settings))
	load := func() (*config.House, error) { return config.LoadHouse(filepath.Join(e.dir, "house.yaml"), nil) }
	cfg, err := load()
	if err != nil {
		e.Fatal(err)
	}
	e.change(cfg)
	ctx, cancel := context.WithTimeout(e.Context(), time.Minute)
	defer cancel()
	if e.House, err = house.Start(ctx, cfg, house.Options{Load: load, Log: slog.New(slog.NewTextHandler(e.log, nil)), Embed: e.embed}); err != nil {
		e.Fatal(err)
	}
	e.write("ca.pem", string(e.Registry().State().Authority.PEM()))
}

// member is the text of house: for a pump with the key.
func (e *estate) member() string { return e.memberWith("key: " + houseKey) }

func (e *estate) memberWith(how string) string {
	return fmt.Sprintf("house: {url: 'https://%s', id: ottawa, %s, ca: %s, cache: %s}\n", e.at, how, filepath.Join(e.dir, "ca.pem"), filepath.Join(e.dir, "cache"))
}

func (e *estate) pump(id string) *live.Pump { return e.Fleet().View().Pump(id) }

// stream gives the house a stream.
func (e *estate) stream(settings string) {
	e.Helper()
	if _, _, err := e.Registry().PutStream(e.Context(), []byte(settings), 0); err != nil {
		e.Fatal(err)
	}
}

// quick are waits for tests.
var quick = fleet.Waits{First: 20 * time.Millisecond, Most: 100 * time.Millisecond, Refused: 20 * time.Millisecond, RefusedMax: 100 * time.Millisecond, Superseded: 200 * time.Millisecond}

// newMemberWorld runs a pump that belongs to a house.
func newMemberWorld(t testing.TB, text string) *world {
	t.Helper()
	return newWorldWith(t, local+text, func(o *Options) { o.houseWaits = quick })
}

// wireTo is a way to a house that can be cut.
type wireTo struct {
	at string // host:port

	mu    sync.Mutex
	conns []net.Conn
}

func newWireTo(t testing.TB, to string) *wireTo {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wireTo{at: ln.Addr().String()}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			w.mu.Lock()
			w.conns = append(w.conns, near, far)
			w.mu.Unlock()
			for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
				all.Go(func() {
					_, _ = io.Copy(way[0], way[1])
					_ = near.Close()
					_ = far.Close()
				})
			}
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		w.cut()
		all.Wait()
	})
	return w
}

// cut breaks all connections there are.
func (w *wireTo) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.conns = nil
}
