package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// loneNATS is a server that is in no cluster, whose configuration a test changes.
type loneNATS struct {
	NATSProc
	dir string
}

// natsAccount is the configuration of a server with an account for houses.
func natsAccount(limits, password, more string) string {
	return fmt.Sprintf("accounts {HOUSES {jetstream {%s}, users [{user: house, password: %s}]}}\n%s\n", limits, password, more)
}

const natsAmple = "max_mem: 10M, max_file: 100M, max_streams: 2"

func newLoneNATS(t *testing.T, text string) *loneNATS {
	t.Helper()
	n := &loneNATS{NATSProc: NATSProc{Name: "lone", Port: freePort(t)}, dir: t.TempDir()}
	n.conf = filepath.Join(n.dir, "nats.conf")
	n.configure(t, text)
	n.Start(t)
	return n
}

func (n *loneNATS) configure(t *testing.T, text string) {
	t.Helper()
	text = strings.ReplaceAll(text, "JETSTREAM", fmt.Sprintf("jetstream {store_dir: %q, sync_interval: always}", filepath.Join(n.dir, "js")))
	if err := os.WriteFile(n.conf, fmt.Appendf(nil, "server_name: lone\nlisten: \"127.0.0.1:%d\"\n%s", n.Port, text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// again kills the server and runs it with another configuration.
func (n *loneNATS) again(t *testing.T, text string) {
	t.Helper()
	n.proc.kill()
	n.configure(t, text)
	n.Start(t)
}

// at is what a house needs to keep its fleet there.
func (n *loneNATS) at(more string) string {
	return fmt.Sprintf("streams: [{path: studio, type: test_card}]\nnats: {urls: ['nats://127.0.0.1:%d']%s}\n", n.Port, more)
}

// ends waits for a program to end by itself, and gives what it said.
func (p *process) ends(t *testing.T) string {
	t.Helper()
	if !p.ended(30 * time.Second) {
		t.Fatalf("%s does not end", p.name)
	}
	return p.tail(50)
}

// says tells whether a process has said all of it in one line.
func (p *process) says(words ...string) bool {
	return len(p.said(func(line string) bool {
		for _, w := range words {
			if !strings.Contains(line, w) {
				return false
			}
		}
		return true
	})) > 0
}

// What waiting does not mend ends the start of a house: it names what is wrong and what would be right, and never the secret.
func TestNATSServersThatAHouseCannotStartWith(t *testing.T) {
	if testing.Short() {
		t.Skip("runs real programs; left out with -short")
	}
	t.Parallel()
	const right = ", user: house, password: right-secret"
	garbage, empty := filepath.Join(t.TempDir(), "garbage.creds"), filepath.Join(t.TempDir(), "empty.creds")
	for name, text := range map[string]string{garbage: "nothing of the kind", empty: ""} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		server, house string
		want          []string
	}{
		"too few streams":        {natsAccount("max_streams: 1", "right-secret", "JETSTREAM"), right, []string{"maximum number of streams", "max_streams"}},
		"no memory":              {natsAccount("max_mem: 0, max_file: 10M", "right-secret", "JETSTREAM"), right, []string{"insufficient memory", "max_mem"}},
		"no room":                {natsAccount("max_mem: 1M, max_file: 100", "right-secret", "JETSTREAM"), right, []string{"resource limits exceeded", "max_file"}},
		"short messages":         {natsAccount(natsAmple, "right-secret", "max_payload: 1024\nJETSTREAM"), right, []string{"messages of 1024 bytes", "max_payload", "589824"}},
		"no JetStream":           {"authorization {user: house, password: right-secret}\n", right, []string{"no server has JetStream", "jetstream {store_dir"}},
		"an account without it":  {"accounts {HOUSES {users [{user: house, password: right-secret}]}}\nJETSTREAM\n", right, []string{"the account must be allowed to use JetStream"}},
		"a wrong password":       {natsAccount(natsAmple, "right-secret", "JETSTREAM"), ", user: house, password: wrong-secret", []string{`nats.user "house" and nats.password`}},
		"a wrong token":          {"authorization {token: right-secret}\nJETSTREAM\n", "TOKEN", []string{"token in nats.urls"}},
		"nobody":                 {natsAccount(natsAmple, "right-secret", "JETSTREAM"), "", []string{"nats.user and password, or nats.credentials"}},
		"garbage as credentials": {natsAccount(natsAmple, "right-secret", "JETSTREAM"), ", credentials: " + garbage, []string{garbage, "a JWT and an nkey seed"}},
		"empty credentials":      {natsAccount(natsAmple, "right-secret", "JETSTREAM"), ", credentials: " + empty, []string{empty}},
		"no credentials":         {natsAccount(natsAmple, "right-secret", "JETSTREAM"), ", credentials: /none/x.creds", []string{"house.yaml:", "nats.credentials", "/none/x.creds"}},
		"a folder as authority":  {natsAccount(natsAmple, "right-secret", "JETSTREAM"), ", ca: /", []string{"house.yaml:", "nats.ca"}},
		"garbage as authority":   {natsAccount(natsAmple, "right-secret", "JETSTREAM"), ", ca: " + garbage, []string{"nats.ca", garbage, "PEM"}},
		"more replicas":          {natsAccount(natsAmple, "right-secret", "JETSTREAM"), right + ", replicas: 3", []string{"nats.replicas must be 1"}},
		"no TLS there":           {natsAccount(natsAmple, "right-secret", "JETSTREAM"), right + "TLS", []string{"have no TLS", "nats://"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newLoneNATS(t, tt.server)
			text := n.at(strings.TrimSuffix(tt.house, "TLS"))
			switch {
			case tt.house == "TOKEN":
				text = strings.Replace(n.at(""), "nats://", "nats://wrong-secret@", 1)
			case strings.HasSuffix(tt.house, "TLS"):
				text = strings.Replace(text, "nats://", "tls://", 1)
			}
			eventually(t, 30*time.Second, "the server listens", func() bool { return listens(n.Port) })
			h := newHouse(t, "refused", text)
			h.Start(t)
			said := h.proc.ends(t)
			for _, w := range tt.want {
				if !strings.Contains(said, w) {
					t.Errorf("no %q in what it said", w)
				}
			}
			if strings.Contains(said, "-secret") {
				t.Error("it tells the secret")
			}
			if t.Failed() {
				t.Log(said)
			}
		})
	}
}

// listens tells whether somebody listens at a port.
func listens(port int) bool {
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}

// A house runs, and its NATS server changes: limits are reached, it knows another password, has no JetStream, comes back
// empty. Each is said by name, viewers are sent on meanwhile, nothing that was acknowledged is lost, and when all is well
// again the house goes on by itself.
func TestAHouseWhoseNATSServerChanges(t *testing.T) {
	if testing.Short() {
		t.Skip("runs real programs; left out with -short")
	}
	t.Parallel()
	good := natsAccount(natsAmple, "right-secret", "JETSTREAM")
	n := newLoneNATS(t, good)
	h := newHouse(t, "steady", n.at(", user: house, password: right-secret"))
	h.Start(t)
	h.WaitReady(t, time.Minute)
	if err := h.Import(fleetRoster(0, true)); err != nil {
		t.Fatal(err)
	}
	newTellingPump(t, "p0", h.Plain(""))
	delegates := func(when string) {
		t.Helper()
		eventually(t, 30*time.Second, "viewers are sent on "+when, func() bool { return status(h.Plain("/streams/studio.asx")) == http.StatusOK })
	}
	delegates("at first")
	acked := 0
	imports := func(when string) {
		t.Helper()
		eventually(t, time.Minute, "a change is taken "+when, func() bool { return h.Import(fleetRoster(acked+1, false)) == nil })
		acked++
		h.has(t, int64(acked))
	}
	says := func(words ...string) {
		t.Helper()
		eventually(t, time.Minute, fmt.Sprintf("the house says %q", words), func() bool { return h.proc.says(words...) })
	}
	imports("at first")

	n.again(t, natsAccount("max_mem: 10M, max_file: 12K, max_streams: 2", "right-secret", "JETSTREAM"))
	eventually(t, time.Minute, "a change is refused for the limit, by name", func() bool {
		err := h.Import(fleetRoster(acked+100, false))
		if err == nil {
			acked += 100
		}
		return err != nil && strings.Contains(err.Error(), "max_file")
	})
	delegates("with a limit reached")
	n.again(t, good)
	h.WaitReady(t, time.Minute)
	acked += 100 // what was written down before the limit was reached may be finished; the next one is a larger roster in any case
	imports("with the limit raised")

	n.again(t, natsAccount(natsAmple, "other-secret", "JETSTREAM"))
	says("the store cannot be reached", "uthorization", `nats.user \"house\"`, "count")
	delegates("while the password is wrong")
	n.again(t, "authorization {user: house, password: right-secret}\n")
	eventually(t, time.Minute, "the house says that it takes no changes", func() bool { return !h.Ready() })
	delegates("without JetStream")
	n.again(t, good)
	h.WaitReady(t, time.Minute)
	imports("with both put right")

	store, away := filepath.Join(n.dir, "js"), filepath.Join(n.dir, "away")
	n.proc.kill()
	if err := os.Rename(store, away); err != nil {
		t.Fatal(err)
	}
	n.Start(t)
	says("the store has lost what was kept", "pumphouse-state", "it is not there", "roster export")
	delegates("with an empty store")
	h.has(t, int64(acked))
	if err := h.Import(fleetRoster(acked+1, false)); err == nil || !strings.Contains(err.Error(), "has lost what was kept") {
		t.Errorf("a change with an empty store: %v", err)
	}
	h.proc.kill()
	h.Start(t)
	if said := h.proc.ends(t); !strings.Contains(said, "has lost what was kept") || !strings.Contains(said, filepath.Join(h.Dir, "data", "kept")) || !strings.Contains(said, "roster import") {
		t.Errorf("it starts with an empty store, or does not say why not:\n%s", said)
	}
	n.proc.kill()
	if err := os.RemoveAll(store); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(away, store); err != nil {
		t.Fatal(err)
	}
	n.Start(t)
	h.Start(t)
	h.WaitReady(t, time.Minute)
	h.has(t, int64(acked))
	imports("with the store that was there")

	n.again(t, "accounts {HOUSES {jetstream {"+natsAmple+"}}, OTHER {jetstream {"+natsAmple+"}, users [{user: house, password: right-secret}]}}\nJETSTREAM\n")
	says("the store has lost what was kept", "nats.credentials or user")
	delegates("with another account's store")
	n.again(t, good)
	h.WaitReady(t, time.Minute)
	imports("with the right account")
	for _, l := range h.proc.said(func(line string) bool { return strings.Contains(line, "-secret") }) {
		t.Errorf("a secret is told: %s", l.text)
	}
}

// Two houses with one name are told apart: the second one ends and says where the first one runs. One that was killed has its
// name again after a short wait. A house that waits for its store ends at once when it is told to.
func TestTwoHousesWithOneName(t *testing.T) {
	if testing.Short() {
		t.Skip("runs real programs; left out with -short")
	}
	t.Parallel()
	n := newLoneNATS(t, "JETSTREAM\n")
	first, second := newHouse(t, "twin", n.at("")), newHouse(t, "twin", n.at(""))
	first.Start(t)
	first.WaitReady(t, time.Minute)
	second.Start(t)
	if said := second.proc.ends(t); !strings.Contains(said, "another house has this name") || !strings.Contains(said, filepath.Join(first.Dir, "data")) {
		t.Errorf("the second one said:\n%s", said)
	}
	if !first.Ready() {
		t.Error("the first one minds")
	}
	first.proc.kill()
	first.Start(t)
	first.WaitReady(t, time.Minute)
	n.proc.kill()
	waits := newHouse(t, "waits", n.at(""))
	waits.Start(t)
	eventually(t, 30*time.Second, "it waits for its store", func() bool {
		return len(waits.proc.said(func(l string) bool { return strings.Contains(l, "the store does not answer yet") })) > 0
	})
	if !waits.proc.stop(os.Interrupt, 10*time.Second) {
		t.Error("a house that waits for its store does not end when it is told to")
	}
}

// A folder that a house cannot keep its store in, or a roster that was cut, ends it with an error that names the thing and what
// would be right.
func TestAHouseThatCannotKeepAnything(t *testing.T) {
	if testing.Short() || os.Geteuid() != 0 {
		t.Skip("runs real programs as another user, which takes root; left out with -short")
	}
	need(t, "setpriv")
	t.Parallel()
	binary := built(t, houseProgram)
	other := newHouse(t, "first", "")
	for name, tt := range map[string]struct {
		prepare func(t *testing.T, h *HouseProc)
		want    []string
	}{
		"the folder is another user's": {func(t *testing.T, h *HouseProc) {
			if err := os.Mkdir(filepath.Join(h.Dir, "data"), 0o700); err != nil {
				t.Fatal(err)
			}
		}, []string{"data/store", "permission denied", "must belong to the user"}},
		"the files are another user's": {func(t *testing.T, h *HouseProc) {
			data := filepath.Join(h.Dir, "data")
			for _, f := range []string{data, filepath.Join(data, "store"), filepath.Join(data, "store", "jetstream")} {
				if err := os.Mkdir(f, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			for _, f := range []string{data, filepath.Join(data, "store")} {
				if err := os.Chown(f, nobody, nobody); err != nil {
					t.Fatal(err)
				}
			}
		}, []string{"data/store", "must belong to the user"}},
		"the roster was cut": {func(t *testing.T, h *HouseProc) {
			h.configure(t, "pumps_roster_json: pumps.json")
			h.write(t, "pumps.json", `[{"id": "a", "networks": ["10.0.0.0/8"]}, {"id": "b", "netw`)
			for _, f := range []string{h.Dir, filepath.Join(h.Dir, "pumps.json")} {
				if err := os.Chown(f, nobody, nobody); err != nil {
					t.Fatal(err)
				}
			}
		}, []string{"pumps.json:1:"}},
		"another house uses it": {func(t *testing.T, h *HouseProc) {
			h.configure(t, "")
			other.Start(t)
			other.WaitReady(t, time.Minute)
			text, err := os.ReadFile(filepath.Join(h.Dir, "house.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			data := filepath.Join(other.Dir, "data")
			h.write(t, "house.yaml", strings.Replace(string(text), "data: data", "data: "+data, 1))
			for _, f := range []string{other.Dir, data, filepath.Join(data, "store"), filepath.Join(data, "store", "lock")} {
				if err := os.Chmod(f, 0o777); err != nil { // #nosec G302 -- for the other user
					t.Fatal(err)
				}
			}
		}, []string{"another house uses the store", "data/store", "of its own"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, "poor", "")
			tt.prepare(t, h)
			for _, f := range []string{scratch, h.Dir, filepath.Join(h.Dir, "house.yaml"), binary} {
				if err := os.Chmod(f, 0o755); err != nil { // #nosec G302 -- for the other user
					t.Fatal(err)
				}
			}
			cmd := exec.Command("setpriv", "--reuid", fmt.Sprint(nobody), "--regid", fmt.Sprint(nobody), "--clear-groups", binary, "run", filepath.Join(h.Dir, "house.yaml"))
			said := start(t, "pump-house as nobody", cmd).ends(t)
			for _, w := range tt.want {
				if !strings.Contains(said, w) {
					t.Errorf("no %q in\n%s", w, said)
				}
			}
		})
	}
}

// nobody is a user who owns nothing.
const nobody = 65534
