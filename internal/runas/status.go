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

// excess returns what a thread has beyond the account, empty when nothing.
func (s status) excess(a Account, noNewPrivs bool) string {
	var list []string
	if !all(s.uids, a.UID) {
		list = append(list, fmt.Sprintf("user ids %v instead of %d", s.uids, a.UID))
	}
	if !all(s.gids, a.GID) {
		list = append(list, fmt.Sprintf("group ids %v instead of %d", s.gids, a.GID))
	}
	others := slices.DeleteFunc(slices.Clone(s.groups), func(id int) bool { return id == a.GID })
	if !slices.Equal(others, a.Groups) {
		list = append(list, fmt.Sprintf("supplementary groups %v instead of %v", s.groups, a.Groups))
	}
	for _, name := range capabilitySets {
		if strings.Trim(s.capabilities[name], "0") != "" {
			list = append(list, fmt.Sprintf("capabilities %s=%s", name, s.capabilities[name]))
		}
	}
	if noNewPrivs && !s.noNewPrivs {
		list = append(list, "no no_new_privs")
	}
	return strings.Join(list, ", ")
}

func all(ids []int, id int) bool {
	return !slices.ContainsFunc(ids, func(x int) bool { return x != id })
}

// verify holds every thread of the process against the account. Threads that start
// meanwhile inherit from one that was there.
func verify(proc string, a Account, noNewPrivs bool) error {
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
		if kept := s.excess(a, noNewPrivs); kept != "" {
			return fmt.Errorf("a thread has kept %s", kept)
		}
		looked++
	}
	if looked == 0 {
		return fmt.Errorf("no thread can be looked at: the files under %s/self/task are closed", proc)
	}
	return nil
}
