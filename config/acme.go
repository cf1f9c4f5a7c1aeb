package config

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Challenges that an ACME authority may set.
const (
	ChallengeTLSALPN = "tls-alpn-01"
	ChallengeHTTP    = "http-01"
)

// ACME is an authority that issues certificates by itself, in place of SSLKey and SSLCert.
type ACME struct {
	Domains    Names  `yaml:"domains" reload:"restart"` // empty: none
	Email      string `yaml:"email" reload:"restart"`
	Directory  string `yaml:"directory" reload:"restart"`  // its address
	CA         string `yaml:"ca" reload:"restart"`         // file: authorities of its own certificate; empty: the system's
	Folder     string `yaml:"folder" reload:"restart"`     // relative to the configuration
	Challenges Names  `yaml:"challenges" reload:"restart"` // that it may set
}

// On tells whether certificates come from an authority.
func (a ACME) On() bool { return len(a.Domains) > 0 }

func defaultACME() ACME {
	return ACME{Directory: "https://acme-v02.api.letsencrypt.org/directory", Folder: "acme", Challenges: Names{ChallengeTLSALPN, ChallengeHTTP}}
}

func init() {
	rules["acme.domains"] = rule{check: checkDomain}
	rules["acme.email"] = rule{check: checkEmail}
	rules["acme.directory"] = rule{check: checkDirectory}
	rules["acme.challenges"] = oneOf(ChallengeTLSALPN, ChallengeHTTP)
}

// domainForm is a host name with at least one dot, or localhost for tests.
var domainForm = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

func checkDomain(s, key string) (string, string, string) {
	switch {
	case strings.HasPrefix(s, "*."):
		return "", fmt.Sprintf("%s %q is a wildcard, which the challenges here cannot prove", key, s), "the names of this pump, one by one"
	case len(s) > 253 || !domainForm.MatchString(s):
		return "", fmt.Sprintf("%s %q is no host name of the Internet", key, s), "as in pump.example.org"
	}
	return strings.ToLower(s), "", ""
}

func checkEmail(s, key string) (string, string, string) {
	if s != "" && (strings.Count(s, "@") != 1 || strings.ContainsAny(s, " \t\r\n<>,;\x00") || strings.HasPrefix(s, "@") || strings.HasSuffix(s, "@")) {
		return "", key + " is no mail address", "as in hostmaster@example.org"
	}
	return s, "", ""
}

func checkDirectory(s, key string) (string, string, string) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.ContainsAny(s, " \r\n") {
		return "", fmt.Sprintf("%s %q is no address of an authority", key, hideURL(s)), "as in https://acme-v02.api.letsencrypt.org/directory; https only"
	}
	return s, "", ""
}

// checkACME finds an authority that is not asked, or has nothing to prove names with.
func (d *decoder) checkACME(c *Config) {
	if !c.ACME.On() {
		return
	}
	if !c.SSL {
		d.problem(d.at("acme.domains"), "acme.domains needs ssl", "ssl: true")
	}
	for path, file := range map[string]string{"ssl_key": c.SSLKey, "ssl_cert": c.SSLCert} {
		if file != "" {
			d.problem(d.at(path), path+" and acme.domains exclude each other", "one of them")
		}
	}
	told := func(p Problem) bool { return strings.Contains(p.What, "acme.challenges") }
	if len(c.ACME.Challenges) == 0 && !slices.ContainsFunc(d.problems, told) {
		d.problem(d.at("acme.challenges"), "acme.challenges is empty", ChallengeTLSALPN+", "+ChallengeHTTP+" or both")
	}
	if c.ACME.Folder == "" {
		d.problem(d.at("acme.folder"), "acme.folder is empty", "a folder for keys and certificates, as in acme")
	}
}
