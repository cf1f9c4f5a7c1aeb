package runas

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// status is what the kernel says of one thread's privileges, from /proc/self/task/ID/status.
type status struct {
	uids, gids   []int // real, effective, saved, of the file system
	groups       []int // ascending
	capabilities map[string]string
	noNewPrivs   bool
}

// capabilitySets are the sets that must be empty. The bounding set is none of them: it
// grants nothing by itself, and with no_new_privs nothing can draw on it.
var capabilitySets = []string{"CapInh", "CapPrm", "CapEff", "CapAmb"}

const (
	// bindService is CAP_NET_BIND_SERVICE in a capability set: the right to ports below 1024.
	bindService = 1 << 10
	// hiddenGroup stands for every group that the user namespace of the process does not know,
	// as in a unit of systemd with PrivateUsers=.
	hiddenGroup = 65534
)

// starter is who has seen to it that the program is the account.
type starter bool

const (
	ourselves starter = false // everything has been given up
	somebody  starter = true  // systemd, say: what it has left may be what it means to leave
)

// parseStatus reads a status file. What a kernel leaves out is an error: nothing may be taken
// for granted here.
func parseStatus(text string) (status, error) {
	s := status{capabilities: map[string]string{}}
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		var err error
		switch {
		case key == "Uid":
			s.uids, err = parseIDs(value)
		case key == "Gid":
			s.gids, err = parseIDs(value)
		case key == "Groups":
			s.groups, err = parseIDs(value)
			slices.Sort(s.groups)
		case key == "NoNewPrivs":
			s.noNewPrivs = value == "1"
		case slices.Contains(capabilitySets, key):
			s.capabilities[key] = value
		default:
			continue
		}
		if err != nil {
			return status{}, fmt.Errorf("%s: %w", key, err)
		}
		seen[key] = true
	}
	for _, key := range append([]string{"Uid", "Gid", "Groups", "NoNewPrivs"}, capabilitySets...) {
		if !seen[key] {
			return status{}, fmt.Errorf("the kernel does not say %s", key)
		}
	}
	if len(s.uids) != 4 || len(s.gids) != 4 {
		return status{}, errors.New("the kernel says other than four user and group ids")
	}
	return s, nil
}

func parseIDs(s string) ([]int, error) {
	var ids []int
	for _, f := range strings.Fields(s) {
		id, err := strconv.Atoi(f)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// excess returns what a thread has beyond the account, empty when nothing. Of a program that
// somebody else has started as the account, no_new_privs is not asked, ports below 1024 may be
// its right, and groups may be hidden.
func (s status) excess(a Account, by starter) string {
	var list []string
	if !all(s.uids, a.UID) {
		list = append(list, fmt.Sprintf("user ids %v instead of %d", s.uids, a.UID))
	}
	if !all(s.gids, a.GID) {
		list = append(list, fmt.Sprintf("group ids %v instead of %d", s.gids, a.GID))
	}
	if !s.fits(a, by) {
		list = append(list, fmt.Sprintf("supplementary groups %v instead of %v", s.groups, a.Groups))
	}
	for _, name := range capabilitySets {
		if !harmless(s.capabilities[name], by) {
			list = append(list, fmt.Sprintf("capabilities %s=%s", name, s.capabilities[name]))
		}
	}
	if by == ourselves && !s.noNewPrivs {
		list = append(list, "no no_new_privs")
	}
	return strings.Join(list, ", ")
}

// fits tells whether the supplementary groups are the account's.
func (s status) fits(a Account, by starter) bool {
	others := slices.DeleteFunc(slices.Clone(s.groups), func(id int) bool { return id == a.GID })
	if by == ourselves || !slices.Contains(others, hiddenGroup) {
		return slices.Equal(others, a.Groups)
	}
	return !slices.ContainsFunc(others, func(id int) bool { return id != hiddenGroup && !slices.Contains(a.Groups, id) })
}

// harmless tells whether a set of capabilities, as the kernel writes it, may be there.
func harmless(set string, by starter) bool {
	n, err := strconv.ParseUint(set, 16, 64)
	return err == nil && (n == 0 || by == somebody && n == bindService)
}

func all(ids []int, id int) bool {
	return !slices.ContainsFunc(ids, func(x int) bool { return x != id })
}

// verify holds every thread of the process against the account. Threads that start
// meanwhile inherit from one that was there.
func verify(proc string, a Account, by starter) error {
	files, err := filepath.Glob(filepath.Join(proc, "self", "task", "*", "status"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no thread can be looked at: %s/self/task is closed or not mounted", proc)
	}
	looked := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		s, err := parseStatus(string(text))
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		if kept := s.excess(a, by); kept != "" {
			return fmt.Errorf("a thread has kept %s", kept)
		}
		looked++
	}
	if looked == 0 {
		return fmt.Errorf("no thread can be looked at: the files under %s/self/task are closed", proc)
	}
	return nil
}
