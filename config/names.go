package config

import (
	"fmt"
	"regexp"
	"strings"
)

// Names is a list of names, spelled as one name, a list, or in the environment names with
// commas between.
type Names []string

// RunAs is whom a pump that root has started becomes; an empty User leaves it root.
type RunAs struct {
	User   string `yaml:"user" reload:"restart"`   // name or number
	Group  string `yaml:"group" reload:"restart"`  // empty: the user's own
	Groups Names  `yaml:"groups" reload:"restart"` // beside those that the user has
}

// accountForm is what useradd and groupadd take, or a number.
var accountForm = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_.-]{0,30}\$?|[0-9]{1,10})$`)

func checkAccount(s, key string) (string, string, string) {
	if s != "" && !accountForm.MatchString(s) {
		return "", fmt.Sprintf("%s %q is no name of a user or group", key, s), "a name, or a number"
	}
	if s == "root" || s != "" && strings.Trim(s, "0") == "" {
		return "", fmt.Sprintf("%s is root, who gives nothing up", key), "an ordinary user or group"
	}
	return s, "", ""
}

// names decodes a list of names, each by the rule of path.
func (d *decoder) names(n *node, to *Names, path string) {
	var list Names
	for _, item := range d.words(n, path) {
		text, what, right := d.rule(path).text(item.text, path)
		if what != "" {
			d.problem(item.at, what, right)
			continue
		}
		list = append(list, text)
	}
	*to = list
}

// checkRunAs finds a group without a user.
func (d *decoder) checkRunAs(c *Config) {
	if c.RunAs.User != "" || d.given("run_as.user") {
		return
	}
	if c.RunAs.Group != "" {
		d.problem(d.at("run_as.group"), "run_as.group needs run_as.user", "the name of a user")
	}
	if len(c.RunAs.Groups) > 0 {
		d.problem(d.at("run_as.groups"), "run_as.groups needs run_as.user", "the name of a user")
	}
}
