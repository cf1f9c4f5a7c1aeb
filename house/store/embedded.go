package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/stream-pump/stream-pump/telemetry"
)

// embedded is a NATS server within this program. It is reached without a socket; only a
// cluster listens. When the server has given up its files, because the disk was full, it
// is started anew once there is room.
type embedded struct {
	opts     Options
	log      *slog.Logger
	says     *serverLog
	password string // of the client within: a cluster's server listens for clients, too
	lock     *os.File
	reserve  atomic.Int64
	full     atomic.Bool
	syncer   *syncer // nil: the server syncs every message itself

	mu     sync.Mutex
	server *server.Server // nil between an old one and a new one
	closed bool

	stop chan struct{}
	done sync.WaitGroup
}

// defaultReserve is what is left on the disk for the server's own needs; below it changes are
// refused. A server that meets a full disk gives up altogether.
const defaultReserve = 16 << 20

const (
	readyWithin  = 20 * time.Second
	tendInterval = 250 * time.Millisecond
)

func newEmbedded(o Options) (*embedded, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of the store: %w%s", err, owner(err))
	}
	for _, above := range []string{filepath.Dir(o.Dir), filepath.Dir(filepath.Dir(o.Dir))} {
		_ = syncDir(above) // they may be as new as the folder itself; that of others may not be ours to open
	}
	e := &embedded{opts: o, log: o.Log, says: newServerLog(o.Log), password: rand.Text(), stop: make(chan struct{})}
	e.reserve.Store(defaultReserve)
	if o.Cluster.Listen == "" {
		e.syncer = &syncer{sync: (&files{dir: o.Dir}).sync}
	}
	lock, err := lockFolder(o.Dir)
	if err != nil {
		return nil, err
	}
	e.lock = lock
	if _, err := readWitness(o.Dir); err != nil {
		e.says.repeats.Close()
		return nil, errors.Join(err, lock.Close())
	}
	if e.syncer == nil {
		_ = os.Remove(witnessFile(o.Dir)) // of a time when this house was alone
	}
	s, err := e.start()
	if err != nil {
		e.says.repeats.Close()
		return nil, errors.Join(err, lock.Close())
	}
	e.server = s
	e.look()
	e.done.Go(e.tend)
	return e, nil
}

func (e *embedded) start() (*server.Server, error) {
	o := &server.Options{
		ServerName: e.opts.Name, DontListen: true, NoSigs: true, NoSystemAccount: false,
		JetStream: true, StoreDir: e.opts.Dir, SyncAlways: e.syncer == nil, MaxPayload: MaxValue + 64<<10,
		JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 4 << 30,
	}
	if err := e.opts.Cluster.apply(o, e.opts.Prefix, e.password); err != nil {
		return nil, err
	}
	s, err := server.NewServer(o)
	if err != nil {
		return nil, fmt.Errorf("making the store's server: %w", err)
	}
	e.says.fatal.Store(nil)
	s.SetLoggerV2(e.says, false, false, false)
	s.Start()
	ready := false
	for until := time.Now().Add(readyWithin); !ready && e.says.fatal.Load() == nil && time.Now().Before(until); {
		ready = s.ReadyForConnections(readyWithin / 200)
	}
	if ready && s.JetStreamEnabled() {
		return s, nil
	}
	s.Shutdown()
	s.WaitForShutdown()
	if why := e.says.fatal.Load(); why != nil {
		return nil, fmt.Errorf("%w: %s (the folder %s and all in it must belong to the user that the house runs as)", ErrUnavailable, *why, e.opts.Dir)
	}
	if !ready {
		return nil, errors.New("the store's server was not ready in time")
	}
	return nil, fmt.Errorf("the store's server cannot use %s: %w", e.opts.Dir, ErrUnavailable)
}

func (c Cluster) apply(o *server.Options, name, password string) error {
	if c.Listen == "" {
		return nil
	}
	host, portText, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("the cluster's address %s: %w", c.Listen, err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return fmt.Errorf("the cluster's address %s: %w", c.Listen, err)
	}
	if host == "" {
		host = "::"
	}
	// A server that listens to no client never begins with its routes.
	o.DontListen, o.Host, o.Port = false, "127.0.0.1", server.RANDOM_PORT
	o.Username, o.Password = clientUser, password
	o.Cluster = server.ClusterOpts{
		Name: name, Host: host, Port: port, Username: clusterUser, Password: c.Secret, TLSConfig: c.TLS, TLSTimeout: 5,
		PoolSize: -1, NoAdvertise: true, ConnectRetries: 1 << 30,
	}
	for _, r := range c.Routes {
		o.Routes = append(o.Routes, &url.URL{Scheme: "nats-route", User: url.UserPassword(clusterUser, c.Secret), Host: r})
	}
	return nil
}

const (
	clusterUser = "house"
	clientUser  = "within"
)

// owner says what would be right, where a folder is not the house's to write in.
func owner(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return " (the folder `data` must belong to the user that the house runs as)"
	case errors.Is(err, syscall.EROFS):
		return " (the folder `data` must be on a disk that can be written to)"
	}
	return ""
}

// InProcessConn gives the client a connection to the server of now.
func (e *embedded) InProcessConn() (net.Conn, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server == nil {
		return nil, ErrUnavailable
	}
	return e.server.InProcessConn()
}

// tend looks at the disk, and starts the server anew when it has given up.
func (e *embedded) tend() {
	tick := time.NewTicker(tendInterval)
	defer tick.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-tick.C:
		}
		e.look()
		e.mu.Lock()
		s := e.server
		e.mu.Unlock()
		if s != nil && s.JetStreamEnabled() {
			continue
		}
		if s != nil {
			e.log.Error("the store's server has given up its files; it is started anew once there is room", slog.String("folder", e.opts.Dir))
			e.mu.Lock()
			e.server = nil
			e.mu.Unlock()
			s.Shutdown()
			s.WaitForShutdown()
		}
		if !e.full.Load() {
			e.revive()
		}
	}
}

func (e *embedded) revive() {
	s, err := e.start()
	if err != nil {
		e.log.Error("the store's server cannot be started anew", slog.Any("error", err))
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		s.Shutdown()
		return
	}
	e.server = s
	e.log.Info("the store's server serves again")
}

// flush returns when what the server has acknowledged is on the disk. A server alone writes a
// message to its file before it acknowledges it, and leaves it to us to sync that; one of a
// cluster has to sync what it promises to the others.
func (e *embedded) flush() error {
	if e.syncer == nil {
		return nil
	}
	return e.syncer.flush()
}

// look finds out whether the disk is full.
func (e *embedded) look() {
	free, err := freeBytes(e.opts.Dir)
	full := err == nil && free < e.reserve.Load()
	if e.full.Swap(full) != full {
		if full {
			e.log.Error("the disk of the store is full: changes are refused", slog.String("folder", e.opts.Dir), slog.Int64("free_bytes", free))
		} else {
			e.log.Info("there is room on the disk of the store again")
		}
	}
}

// few tells whether so few servers of the cluster are there that no change can be taken.
func (e *embedded) few() bool {
	n, alone := e.partners()
	return !alone && n+1 < e.opts.Replicas/2+1
}

// partners returns how many other servers of the cluster are connected; alone if there is
// no cluster.
func (e *embedded) partners() (n int, alone bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server == nil {
		return 0, e.opts.Cluster.Listen == ""
	}
	return e.server.NumRoutes(), e.opts.Cluster.Listen == ""
}

func (e *embedded) close() {
	close(e.stop)
	e.done.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	if e.server != nil {
		e.server.Shutdown()
		e.server.WaitForShutdown()
	}
	e.says.repeats.Close()
	_ = e.lock.Close() // which unlocks it
}

// Folder returns where the server within keeps its files, below a house's data.
func Folder(data string) string { return filepath.Join(data, "store") }

// serverLog passes on what the server says. What it says of one connection after the other
// becomes a line a second with a count: whoever reaches the cluster's port can make it complain.
type serverLog struct {
	log     *slog.Logger
	repeats *telemetry.Repeats
	fatal   atomic.Pointer[string] // why the server gave up, if it did
}

func newServerLog(log *slog.Logger) *serverLog {
	return &serverLog{log: log, repeats: telemetry.NewRepeats(log, telemetry.RepeatsOptions{})}
}

func (l *serverLog) say(level slog.Level, format string, args ...any) {
	kind := format[strings.LastIndex(format, " - ")+1:] // of a connection: what comes before is its name
	l.repeats.Log(level, kind, "store's server: "+fmt.Sprintf(format, args...))
}

func (l *serverLog) Noticef(format string, v ...any) { l.say(slog.LevelDebug, format, v...) }

// Warnf leaves out what the server says of the password that it is given by this very program.
func (l *serverLog) Warnf(format string, v ...any) {
	if !strings.HasPrefix(format, "Plaintext passwords") {
		l.say(slog.LevelWarn, format, v...)
	}
}

func (l *serverLog) Fatalf(format string, v ...any) {
	why := fmt.Sprintf(format, v...)
	l.fatal.Store(&why)
	l.say(slog.LevelError, format, v...)
}

func (l *serverLog) Errorf(format string, v ...any) { l.say(slog.LevelError, format, v...) }
func (l *serverLog) Debugf(string, ...any)          {}
func (l *serverLog) Tracef(string, ...any)          {}
