package simulate

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"github.com/stream-pump/stream-pump/config"
)

const (
	regionSize = 5
	streamPath = "simulated"
	streamRate = 300_000 // bit/s
	pumpKey    = "the key of all simulated pumps"
	burstPump  = "burst"
	burstLimit = 300
)

// entry is a pump in the roster file.
type entry struct {
	ID         string         `json:"id"`
	Key        string         `json:"key,omitempty"`
	URL        string         `json:"url"`
	Parents    []string       `json:"parents,omitempty"`
	MaxViewers int            `json:"max_viewers"`
	Networks   []networkEntry `json:"networks"`
}

type networkEntry struct {
	CIDR     string `json:"cidr"`
	Priority int    `json:"priority"`
}

func pumpID(i int) string { return fmt.Sprint("p", i) }

func pumpURL(id string) string { return "http://" + id + ".invalid:8086" }

// parents are those of pump i: a tree of eight children each, with the one before its parent as the second choice.
func parents(i int) []string {
	if i == 0 {
		return nil
	}
	p := (i - 1) / 8
	if p == 0 {
		return []string{pumpID(0)}
	}
	return []string{pumpID(p), pumpID(p - 1)}
}

// networks are ten for each region: two that are whole, seven within, and the next region's for its overflow.
func networks(region, regions int) []networkEntry {
	whole := func(r int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(10 + r>>8), byte(r)}), 16)
	}
	list := []networkEntry{{whole(region).String(), 5}, {fmt.Sprintf("2001:db8:%x::/48", region), 5}}
	for k := range 7 {
		a := whole(region).Addr().As4()
		a[2] = byte(k * 32)
		list = append(list, networkEntry{netip.PrefixFrom(netip.AddrFrom4(a), 20).String(), 5})
	}
	return append(list, networkEntry{whole((region + 1) % regions).String(), 1})
}

// roster makes the pumps: their limits are from half to one and a half of the mean, which leaves a tenth free.
func roster(o *Options, rng *rand.Rand) ([]entry, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(pumpKey), bcrypt.MinCost)
	if err != nil {
		return nil, err
	}
	regions := o.Pumps / regionSize
	mean := float64(o.Viewers) * 1.1 / float64(regions*regionSize)
	var list []entry
	for i := range o.Pumps {
		e := entry{ID: pumpID(i), URL: pumpURL(pumpID(i)), Parents: parents(i), MaxViewers: max(int(mean*(0.5+rng.Float64())), 1)}
		if r := i / regionSize; r < regions {
			e.Networks = networks(r, regions)
		}
		if i < o.HTTPPumps {
			e.Key = string(hash)
		}
		list = append(list, e)
	}
	if o.Burst > 0 {
		list = append(list, entry{ID: burstPump, URL: pumpURL(burstPump), MaxViewers: burstLimit, Networks: []networkEntry{{"192.0.2.0/24", 9}, {"198.18.0.0/15", 9}}})
	}
	return list, nil
}

// write makes the files of the house, and reads them as the house does.
func write(dir string, list []entry, interval string) (*config.House, error) {
	text, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "pumps.json"), text, 0o600); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "pump-house.yaml")
	lines := []string{
		"name: simulated", "listen: ['127.0.0.1:0']", "ssl: false", "data: data", "pumps_roster_json: pumps.json", "trusted_proxies: [127.0.0.0/8]",
		"telemetry: {interval: " + interval + "}",
		"streams: [{path: " + streamPath + ", type: mmsh_pull, source_options: {host: source.invalid, port: 8080, path: /}}]",
	}
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return nil, err
	}
	return config.LoadHouse(file, nil)
}
