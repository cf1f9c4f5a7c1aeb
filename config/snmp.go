package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// SNMP is the sub-agent of an SNMP agent; an empty AgentX turns it off.
type SNMP struct {
	AgentX string `yaml:"agentx" reload:"live"` // unix:/path or tcp:host:port, where the master agent listens
	OID    string `yaml:"oid" reload:"live"`    // where the values are
}

// Master returns network and address of the master agent, empty when there is none.
func (s SNMP) Master() (network, address string) {
	network, address, _ = strings.Cut(s.AgentX, ":")
	return network, address
}

func checkAgentX(s, key string) (string, string, string) {
	if s == "" || s == "off" {
		return "", "", ""
	}
	network, address, _ := strings.Cut(s, ":")
	switch network {
	case "unix":
		if strings.HasPrefix(address, "/") && !strings.ContainsAny(address, "\x00\r\n") && len(address) < 108 {
			return s, "", ""
		}
	case "tcp":
		if a, ok := listenAddress(address); ok && !strings.HasPrefix(a, ":") {
			return "tcp:" + a, "", ""
		}
	}
	return "", fmt.Sprintf("%s %q is no master agent", key, s), "unix:/var/agentx/master or tcp:127.0.0.1:705; off for none"
}

// oidForm is an identifier of the Internet, with room below it for the values.
var oidForm = regexp.MustCompile(`^1\.3\.6\.1(\.(0|[1-9][0-9]{0,9})){1,80}$`)

func checkOID(s, key string) (string, string, string) {
	s = strings.TrimPrefix(s, ".")
	fits := oidForm.MatchString(s)
	for part := range strings.SplitSeq(s, ".") {
		if _, err := strconv.ParseUint(part, 10, 32); err != nil {
			fits = false
		}
	}
	if !fits {
		return "", fmt.Sprintf("%s %q is no object identifier", key, s), "numbers with dots, below 1.3.6.1"
	}
	return s, "", ""
}
