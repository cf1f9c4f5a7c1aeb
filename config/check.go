package config

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// check notes what is wrong between settings that are each right.
func (d *decoder) check(c *Config) {
	d.checkPorts(c)
	d.checkRequired(c)
	d.checkACME(c)
	d.checkMembership(c)
	d.checkRunAs(c)
	d.checkOrder(c)
	d.checkRing(c)
	d.checkUplink(c)
	for i := range c.Streams {
		d.checkStream(&c.Streams[i], fmt.Sprintf("streams[%d]", i))
	}
	d.checkAccess(c)
	d.checkPaths(c)
}

// ListenAddresses returns where viewers are served without TLS: Listen, or Port at
// every address.
func (c *Config) ListenAddresses() []string {
	if len(c.Listen) > 0 {
		return c.Listen
	}
	return []string{net.JoinHostPort("", strconv.Itoa(c.Port))}
}

// SSLAddresses returns where viewers are served with TLS: SSLPort at the hosts of
// ListenAddresses; nothing when SSL is off.
func (c *Config) SSLAddresses() []string {
	if !c.SSL {
		return nil
	}
	var list []string
	seen := map[string]bool{}
	for _, a := range c.ListenAddresses() {
		host, _, _ := net.SplitHostPort(a)
		if a = net.JoinHostPort(host, strconv.Itoa(c.SSLPort)); !seen[a] {
			seen[a] = true
			list = append(list, a)
		}
	}
	return list
}

// checkPorts finds two doors at one address.
func (d *decoder) checkPorts(c *Config) {
	type door struct{ address, path string }
	var doors []door
	for i, a := range c.ListenAddresses() {
		path := "port"
		if len(c.Listen) > 0 {
			path = fmt.Sprintf("listen[%d]", i)
		}
		doors = append(doors, door{a, path})
	}
	for _, a := range c.SSLAddresses() {
		doors = append(doors, door{a, "ssl_port"})
	}
	if c.Admin.Listen != "" {
		doors = append(doors, door{c.Admin.Listen, "admin.listen"})
	}
	for i, a := range doors {
		for _, b := range doors[:i] {
			if !overlap(a.address, b.address) {
				continue
			}
			// The file may have moved only the other one into the way.
			if !d.given(a.path) && d.given(b.path) {
				a, b = b, a
			}
			d.problem(d.at(a.path), fmt.Sprintf("%s is at the address of %s, %s", lastKey(a.path), lastKey(b.path), b.address), "a port of its own")
			break
		}
	}
}

// overlap reports whether two listeners would meet; port 0 never does.
func overlap(a, b string) bool {
	hostA, portA, _ := net.SplitHostPort(a)
	hostB, portB, _ := net.SplitHostPort(b)
	return portA == portB && portA != "0" && (hostA == hostB || wildcard(hostA) || wildcard(hostB))
}

func wildcard(host string) bool { return host == "" || host == "0.0.0.0" || host == "::" }

// minWatch keeps a slip of the pen from looking at files all the time.
const minWatch = Duration(10 * time.Millisecond)

func (d *decoder) checkRequired(c *Config) {
	if c.SSL && !c.ACME.On() && !d.given("acme.domains") && c.SSLKey == "" {
		d.problem(d.at("ssl"), "ssl needs ssl_key", "the file of the private key in PEM form")
	}
	if c.SSL && !c.ACME.On() && !d.given("acme.domains") && c.SSLCert == "" {
		d.problem(d.at("ssl"), "ssl needs ssl_cert", "the file of the certificate in PEM form")
	}
	if c.SSL && c.SSLClientCertificate == ClientRequire && c.SSLClientCA == "" {
		d.problem(d.at("ssl_client_certificate"), "ssl_client_certificate: require needs ssl_client_ca", "the file of the authorities that issue the clients' certificates, in PEM form")
	}
	if c.SSLWatch > 0 && c.SSLWatch < minWatch {
		d.problem(d.at("ssl_watch"), fmt.Sprintf("ssl_watch %v is too short", c.SSLWatch), fmt.Sprintf("0 for never, or at least %v", minWatch))
	}
	if c.UseHTTPProxy && c.HTTPProxyHost == "" {
		d.problem(d.at("use_http_proxy"), "use_http_proxy needs http_proxy_host", "the name or address of the proxy")
	}
}

func (d *decoder) checkOrder(c *Config) {
	if c.Pulse.Min > c.Pulse.Max {
		d.problem(d.at("pulse.min"), fmt.Sprintf("pulse.min %v is longer than pulse.max", c.Pulse.Min), fmt.Sprintf("at most %v", c.Pulse.Max))
	}
	if b := c.Pull.Backoff; b.Min > b.Max {
		d.problem(d.at("pull.backoff.min"), fmt.Sprintf("backoff.min %v is longer than backoff.max", b.Min), fmt.Sprintf("at most %v", b.Max))
	}
}

// checkRing finds a lag or burst the ring is too short for.
func (d *decoder) checkRing(c *Config) {
	note := func(value Duration, path, key string) {
		if value > c.Ring.Duration {
			d.problem(d.at(path), fmt.Sprintf("%s %v is longer than ring.duration", key, value),
				fmt.Sprintf("at most %v, or a longer ring.duration", c.Ring.Duration))
		}
	}
	note(c.Lag.Max, "lag.max", "lag.max")
	note(c.Burst.Max, "burst.max", "burst.max")
	for i, s := range c.Streams {
		if s.Lag.Max != nil {
			note(*s.Lag.Max, fmt.Sprintf("streams[%d].lag.max", i), "lag.max")
		}
		if s.Burst.Max != nil {
			note(*s.Burst.Max, fmt.Sprintf("streams[%d].burst.max", i), "burst.max")
		}
	}
}

func (d *decoder) checkStream(s *Stream, path string) {
	if d.broken[path] {
		return
	}
	if s.Path == "" && !d.given(path+".path") {
		d.problem(d.at(path), "the stream has no path", "path: NAME, of letters, digits, _ and -")
	}
	if s.Type == "" && !d.given(path+".type") {
		d.problem(d.at(path), "the stream has no type", strings.Join(rules[streamKey+".type"].enum, ", "))
	}
	if s.Name == "" {
		s.Name = s.Path
	}
	if s.Publish.User == "" && s.Publish.Password != "" && !d.given(path+".publish.user") {
		d.problem(d.at(path+".publish.password"), "publish.password needs publish.user", "a user name")
	}
	if s.Publish.User != "" && s.Publish.Password == "" && !d.given(path+".publish.password") {
		d.problem(d.at(path+".publish.user"), "publish.user needs publish.password", "a password")
	}
	if s.Type == "" {
		return
	}
	if s.Publish.asks() && !slices.ContainsFunc(s.AllSources(), func(o Source) bool { return o.Type == TypePush }) {
		d.problem(d.at(path+".publish"), fmt.Sprintf("nobody can push a stream of type %s", s.Type), "no publish, or a source of type "+TypePush)
	}
	if s.File != "" && s.Type != TypeFileLoop {
		d.problem(d.at(path+".file"), fmt.Sprintf("a stream of type %s has no file", s.Type), "type: file_loop, or a source of that type")
	}
	d.checkSources(s, path)
}

// checkSources sees that the stream can have a source at all, and that every source
// can work. What a push stream of the 2011 file says of its source is let be.
func (d *decoder) checkSources(s *Stream, path string) {
	if s.SourceOptions == nil && len(s.Sources) == 0 {
		switch {
		case s.Type == TypePull:
			d.problem(d.at(path), fmt.Sprintf("a stream of type %s has no source", TypePull), "source_options: {host: HOST, port: PORT, path: /PATH}")
		case s.Type == TypeFileLoop && s.File == "":
			d.problem(d.at(path), fmt.Sprintf("a stream of type %s has no file", TypeFileLoop), "file: NAME.asf")
		}
	}
	if o := s.SourceOptions; o != nil && (s.Type != TypePush || o.Type != "") {
		d.checkSource(s, o, path+".source_options")
	}
	for i := range s.Sources {
		d.checkSource(s, &s.Sources[i], fmt.Sprintf("%s.sources[%d]", path, i))
	}
}

func (d *decoder) checkSource(s *Stream, o *Source, path string) {
	kind := o.Type
	if kind == "" {
		kind = s.Type
	}
	if d.given(path+".type") && o.Type == "" {
		return // the type was wrong and has been told
	}
	needless := func(value, key, of string) {
		if value != "" {
			d.problem(d.at(path+"."+key), fmt.Sprintf("a source of type %s has no %s", kind, key), of)
		}
	}
	if kind == TypePull {
		d.checkPull(o, path)
	} else {
		needless(o.Host, "host", "type: "+TypePull)
		needless(o.URL, "url", "type: "+TypePull)
	}
	if kind == TypeFileLoop {
		if o.File == "" && s.File == "" && !d.given(path+".file") {
			d.problem(d.at(path), fmt.Sprintf("a source of type %s has no file", kind), "file: NAME.asf")
		}
	} else {
		needless(o.File, "file", "type: "+TypeFileLoop)
	}
}

func (d *decoder) checkPull(o *Source, path string) {
	switch {
	case o.URL != "" && o.Host != "":
		d.problem(d.at(path+".host"), "the source has both url and host", "one of them")
	case o.URL == "" && o.Host == "" && !d.given(path+".url") && !d.given(path+".host"):
		d.problem(d.at(path), "the source has no host", "host: HOST, or url: mmsh://HOST/PATH")
	}
	if o.User == "" && o.Password != "" && !d.given(path+".user") {
		d.problem(d.at(path+".password"), "password needs user", "a user name")
	}
}

// checkPaths finds two enabled streams at one address; case does not count. That no
// path may end in _push keeps a stream from another one's encoder.
func (d *decoder) checkPaths(c *Config) {
	first := map[string]int{}
	for i, s := range c.Streams {
		if !s.Enabled || s.Path == "" {
			continue
		}
		key := strings.ToLower(s.Path)
		j, taken := first[key]
		if !taken {
			first[key] = i
			continue
		}
		at := d.at(fmt.Sprintf("streams[%d].path", j))
		d.problem(d.at(fmt.Sprintf("streams[%d].path", i)), fmt.Sprintf("path %q is taken", s.Path),
			fmt.Sprintf("by %q at line %d; case does not count", c.Streams[j].Path, at.line))
	}
}

// AllSources returns the stream's sources in the order they are tried, each with
// its type. A stream that names none has the one its type means.
func (s *Stream) AllSources() []Source {
	var list []Source
	if s.SourceOptions != nil {
		list = append(list, *s.SourceOptions)
	}
	list = append(list, s.Sources...)
	if len(list) == 0 {
		list = []Source{defaultSource()}
	}
	for i := range list {
		if list[i].Type == "" {
			list[i].Type = s.Type
		}
		if list[i].Type == TypeFileLoop && list[i].File == "" {
			list[i].File = s.File
		}
	}
	return list
}
