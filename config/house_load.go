package config

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stream-pump/stream-pump/internal/disk"
)

var houseForm = form{
	root: reflect.TypeFor[House](), env: HouseEnvPrefix, envExample: "LOG_LEVEL", literal: true,
	least: "at least a list of streams", maxBytes: MaxFileBytes, maxNodes: maxNodes, rules: houseRules,
	entries: map[reflect.Type]func() reflect.Value{
		reflect.TypeFor[[]HouseUser](): func() reflect.Value { return reflect.ValueOf(HouseUser{Role: RoleLook}) },
		reflect.TypeFor[[]Webhook]():   func() reflect.Value { return reflect.ValueOf(Webhook{}) },
	},
}

var houseRules = map[string]rule{
	"name":                  {check: checkHouseName},
	"ssl_names":             {check: checkHost},
	"nats.urls":             {check: checkNATSURL},
	"public_url":            {check: checkPublicURL},
	"fallback_url":          {check: checkRedirect},
	"relay.viewers":         number(0, maxCount),
	"relay.bandwidth":       {bounded: true, max: 1e15, limits: "0 to 1000T, in bit/s"},
	"relay.linger":          span(time.Second, time.Hour),
	"telemetry.interval":    span(100*time.Millisecond, 30*time.Second),
	"telemetry.dead_after":  span(300*time.Millisecond, 5*time.Minute),
	"certificates.valid":    span(time.Minute, 10*365*24*time.Hour),
	"certificates.invites":  span(time.Minute, 365*24*time.Hour),
	"nats.replicas":         number(1, 5),
	"nats.prefix":           {check: checkPrefix},
	"nats.cluster.listen":   {check: checkClusterListen},
	"users[].name":          {check: checkUser},
	"users[].password_hash": needed(checkHash),
	"users[].role":          oneOf(RoleLook, RoleSteer),
	"webhooks[].url":        {check: checkWebhook},
	"webhooks[].events":     oneOf(HouseEvents...),
}

// checkPublicURL takes the address of a page that is reached by TLS: scheme and host alone.
func checkPublicURL(s, key string) (string, string, string) {
	u, err := url.Parse(s)
	if s == "" || err == nil && u.Scheme == "https" && u.Hostname() != "" && u.User == nil && strings.Trim(u.Path, "/") == "" && u.RawQuery == "" && u.Fragment == "" {
		return strings.TrimRight(s, "/"), "", ""
	}
	return "", key + " is no address of a page with TLS", "as in https://house.example.org:8091"
}

// LoadHouse reads the configuration file of pump-house and the environment, as [Load] does
// for stream-pump.
func LoadHouse(file string, env []string) (*House, error) {
	data, err := disk.Read(file, MaxFileBytes)
	if err != nil {
		return nil, fmt.Errorf("reading configuration: %w", err)
	}
	return parseHouse(file, data, env, disk.Usable)
}

// ParseHouse is [LoadHouse] for data already read; nothing is looked for on disk.
func ParseHouse(name string, data []byte, env []string) (*House, error) {
	return parseHouse(name, data, env, func(string) error { return nil })
}

func parseHouse(name string, data []byte, env []string, exists func(string) error) (*House, error) {
	d := newDecoderOf(name, &houseForm)
	root := d.tree(name, data)
	if root != nil {
		root = d.environment(root, env)
	}
	h := DefaultHouse()
	h.Dir = filepath.Dir(name)
	if root != nil {
		if root.kind != kindMap {
			d.problem(root.at, "a configuration is a mapping of settings, not "+root.kind.String(), "key: value")
		} else {
			d.mapping(root, reflect.ValueOf(h).Elem(), "")
			d.checkHouse(h)
		}
		h.resolve(d, exists)
	}
	if len(d.problems) > 0 {
		return nil, d.problems.finish(name)
	}
	return h, nil
}

// HouseEnvNames returns the variables of all settings outside the lists, sorted.
func HouseEnvNames() []string { return houseForm.envNames() }

func (d *decoder) checkHouse(h *House) {
	d.checkHouseDoors(h)
	if (h.SSLKey == "") != (h.SSLCert == "") {
		d.problem(d.at("ssl_key"), "ssl_key and ssl_cert go together", "both, or neither for the house's own authority")
	}
	if h.Telemetry.DeadAfter < 2*h.Telemetry.Interval {
		d.problem(d.at("telemetry.dead_after"), fmt.Sprintf("telemetry.dead_after %v is too short for telemetry.interval", h.Telemetry.DeadAfter),
			fmt.Sprintf("at least %v", 2*h.Telemetry.Interval))
	}
	d.checkNATS(&h.NATS)
	d.checkHouseUsers(h.Users)
	for i, w := range h.Webhooks {
		if at := fmt.Sprintf("webhooks[%d]", i); w.URL == "" && !d.given(at+".url") && !d.broken[at] {
			d.problem(d.at(at), "the webhook has no url", "as in https://example.org/hook")
		}
	}
	// What the pumps have is theirs to check.
	whole := Config{Streams: h.Streams, Signing: h.Signing, SSL: true, SSLClientCA: "the pumps'"}
	for i := range h.Streams {
		d.checkStream(&h.Streams[i], fmt.Sprintf("streams[%d]", i))
	}
	d.checkAccess(&whole)
	d.checkPaths(&whole)
}

func (d *decoder) checkHouseUsers(users []HouseUser) {
	first := map[string]int{}
	for i, u := range users {
		at := fmt.Sprintf("users[%d]", i)
		if d.broken[at] {
			continue
		}
		if u.Name == "" && !d.given(at+".name") {
			d.problem(d.at(at), "the user has no name", "name: NAME")
		}
		if u.PasswordHash == "" && !d.given(at+".password_hash") {
			d.problem(d.at(at), "the user has no password_hash", "what `stream-pump hash` prints: bcrypt or argon2id")
		}
		if j, taken := first[u.Name]; taken && u.Name != "" {
			d.problem(d.at(at+".name"), "a second user has the name of another one", fmt.Sprintf("the first is at line %d", d.at(fmt.Sprintf("users[%d].name", j)).line))
			continue
		}
		first[u.Name] = i
	}
}

func (d *decoder) checkNATS(n *NATS) {
	c := &n.Cluster
	if len(n.URLs) > 0 && c.Listen != "" {
		d.problem(d.at("nats.cluster.listen"), "nats has both urls and a cluster", "urls of servers that are there, or a cluster of the houses' own")
	}
	if n.User == "" && n.Password != "" && !d.given("nats.user") {
		d.problem(d.at("nats.password"), "nats.password needs nats.user", "a user name")
	}
	if c.Listen == "" {
		if len(c.Routes) > 0 {
			d.problem(d.at("nats.cluster.routes"), "nats.cluster.routes needs nats.cluster.listen", "where the other houses reach this one")
		}
		return
	}
	if c.Secret == "" && !d.given("nats.cluster.secret") {
		d.problem(d.at("nats.cluster"), "nats.cluster has no secret", "secret: the same in all houses")
	}
	if c.Cert == "" || c.Key == "" || c.CA == "" {
		d.problem(d.at("nats.cluster"), "nats.cluster needs cert, key and ca", "files in PEM form; `pump-house authority` makes them")
	}
	if len(c.Routes) == 0 {
		d.problem(d.at("nats.cluster"), "nats.cluster has no routes", "routes: [HOST:PORT] of the other houses")
	}
}

// checkHouseDoors finds two doors at one address.
func (d *decoder) checkHouseDoors(h *House) {
	type door struct{ address, path string }
	var doors []door
	add := func(list []string, set []string, port, key string) {
		for i, a := range list {
			path := port
			if len(set) > 0 {
				path = fmt.Sprintf("%s[%d]", key, i)
			}
			doors = append(doors, door{a, path})
		}
	}
	add(h.ListenAddresses(), h.Listen, "port", "listen")
	add(h.SSLAddresses(), h.SSLListen, "ssl_port", "ssl_listen")
	if h.NATS.Cluster.Listen != "" {
		doors = append(doors, door{h.NATS.Cluster.Listen, "nats.cluster.listen"})
	}
	for i, a := range doors {
		if j := slices.IndexFunc(doors[:i], func(b door) bool { return overlap(a.address, b.address) }); j >= 0 {
			d.problem(d.at(a.path), fmt.Sprintf("%s is at the address of %s, %s", lastKey(a.path), lastKey(doors[j].path), doors[j].address), "a port of its own")
		}
	}
}

// doorsAt returns the addresses of a list, or a port at every address.
func doorsAt(list []string, port int) []string {
	if len(list) > 0 {
		return list
	}
	return []string{net.JoinHostPort("", strconv.Itoa(port))}
}

// resolve joins relative file names to the folder of the configuration, and sees that the
// files which will be opened are there. Files of streams are the pumps'.
func (h *House) resolve(d *decoder, exists func(string) error) {
	files := []fileName{
		{&h.SSLKey, "ssl_key", h.SSL}, {&h.SSLCert, "ssl_cert", h.SSL}, {&h.PumpsRosterJSON, "pumps_roster_json", true},
		{&h.NATS.Credentials, "nats.credentials", true}, {&h.NATS.CA, "nats.ca", true}, {&h.Relay.CA, "relay.ca", true},
		{&h.NATS.Cluster.Cert, "nats.cluster.cert", true}, {&h.NATS.Cluster.Key, "nats.cluster.key", true}, {&h.NATS.Cluster.CA, "nats.cluster.ca", true},
		{&h.Data, "data", false},
	}
	for _, f := range files {
		if *f.name == "" {
			continue
		}
		if !filepath.IsAbs(*f.name) {
			*f.name = filepath.Join(h.Dir, *f.name)
		}
		if !f.used {
			continue
		}
		if err := exists(*f.name); err != nil {
			d.problem(d.at(f.path), fmt.Sprintf("%s %q cannot be used", lastKey(f.path), *f.name), "a file that exists, relative to this one or absolute")
		}
	}
}
