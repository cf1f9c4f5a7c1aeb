package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// Secret is a text that is shown as ***.
type Secret string

// Membership is how a pump belongs to a fleet; an empty URL makes it a pump of its own.
type Membership struct {
	URL      Names  `yaml:"url" reload:"live"`   // of the house; of several houses of one fleet, tried in order
	ID       string `yaml:"id" reload:"restart"` // as in the roster
	Key      Secret `yaml:"key" reload:"live"`
	Invite   Secret `yaml:"invite" reload:"restart"` // instead of Key: for a certificate
	CA       string `yaml:"ca" reload:"live"`        // file: authorities of the house's certificate; empty: the system's
	Insecure bool   `yaml:"insecure" reload:"live"`  // http, to loopback
	Cache    string `yaml:"cache" reload:"restart"`  // folder, relative to the configuration
}

// On tells whether there is a house.
func (m *Membership) On() bool { return len(m.URL) > 0 }

func init() {
	rules["house.url"] = rule{check: checkHouseURL}
	rules["house.id"] = rule{check: func(s, key string) (string, string, string) {
		if s == "" {
			return s, "", ""
		}
		return checkPumpID(s, key)
	}}
	rules["house.invite"] = rule{check: checkInvite}
}

func checkHouseURL(s, key string) (string, string, string) {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(s, " \r\n") {
		return "", fmt.Sprintf("%s %q is no address of a house", key, hideURL(s)), "as in https://house.example.org:8091"
	}
	return strings.TrimSuffix(s, "/"), "", ""
}

// checkInvite does not show the text.
func checkInvite(s, key string) (string, string, string) {
	if s != "" && (!strings.HasPrefix(s, "ph1.") || len(s) > 300 || strings.ContainsAny(s, " \t\r\n\x00")) {
		return "", key + " is no invite", "what pump-house invite -id ID prints, whole"
	}
	return s, "", ""
}

// checkMembership finds a house that cannot be asked, and what is said of none.
func (d *decoder) checkMembership(c *Config) {
	m := &c.House
	if !m.On() {
		if d.given("house.url") {
			return // it was wrong, or it is none on purpose
		}
		for _, key := range []string{"id", "key", "invite", "ca", "insecure"} {
			if d.given("house." + key) {
				d.problem(d.at("house."+key), "house."+key+" needs house.url", "as in https://house.example.org:8091")
				return
			}
		}
		return
	}
	if m.ID == "" && !d.given("house.id") {
		d.problem(d.at("house"), "house.id is missing", "the id of this pump in the roster")
	}
	if m.Cache == "" {
		d.problem(d.at("house.cache"), "house.cache is empty", "a folder for what the house said last, as in house")
	}
	for _, at := range m.URL {
		d.checkHouseScheme(at, m.Insecure)
	}
}

// checkHouseScheme lets a key go without TLS only where nobody else can see it.
func (d *decoder) checkHouseScheme(at string, insecure bool) {
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "http" {
		return
	}
	switch {
	case !IsLoopback(u.Hostname()):
		d.problem(d.at("house.url"), fmt.Sprintf("house.url %q would send the key where others can read it", at), "https; http is for loopback only")
	case !insecure:
		d.problem(d.at("house.url"), fmt.Sprintf("house.url %q is without TLS", at), "https, or insecure: true for a house at this machine")
	}
}

// IsLoopback tells whether a host is this machine by its name or address.
func IsLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && a.Unmap().IsLoopback()
}
