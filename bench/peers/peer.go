//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
)

// peer is a server that is measured.
type peer struct {
	name      string // as -only has it
	title     string // as the table has it
	protocol  string
	container string // of its media file
	program   string // that must be installed
	instances int    // servers that share the viewers; 0 is one
	packages  []string
	serve     func(*venue) error
	opening   func(address string) opening
	ackEvery  int64 // bytes after which a viewer of this protocol reports what it got; 0 is never
}

var peers = []*peer{pump, vlc, icecast, nginxRTMP}

// venue is one run's: where to serve, the stream, and who was started.
type venue struct {
	*stage
	address string // of the first port
	ports   []int  // one for each instance
	media   media
	viewers int
	home    string
	started children // the instances of the server first, then the source
}

func (v *venue) servers() children { return v.started[:len(v.ports)] }

// launch starts a program for the run; as is nil for programs of our own.
func (v *venue) launch(name string, as *syscall.Credential, argv ...string) error {
	k, err := v.start(command{name: name, argv: argv, as: as, home: v.home})
	if err == nil {
		v.started = append(v.started, k)
	}
	return err
}

func peerNames(list []*peer) []string {
	var names []string
	for _, p := range list {
		names = append(names, p.name)
	}
	return names
}

func choosePeers(only string) ([]*peer, error) {
	if only == "" {
		return peers, nil
	}
	var chosen []*peer
	for _, name := range strings.Split(only, ",") {
		i := slices.IndexFunc(peers, func(p *peer) bool { return p.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no %q, but %s", name, strings.Join(peerNames(peers), ", "))
		}
		if !slices.Contains(chosen, peers[i]) {
			chosen = append(chosen, peers[i])
		}
	}
	return chosen, nil
}

// versions asks Debian's package list; the pump says its own.
func versions(ctx context.Context, s *stage, list []*peer) map[string]string {
	found := map[string]string{}
	for _, p := range list {
		if p == pump {
			first, _, _ := strings.Cut(output(ctx, s.path(pumpProgram), "version"), "\n")
			found[p.name] = strings.TrimPrefix(first, pumpProgram+" ")
			continue
		}
		var words []string
		for _, pkg := range p.packages {
			version := output(ctx, "dpkg-query", "-W", "-f", "${Version}", pkg)
			if strings.ContainsAny(version, " \n") || version == "" {
				version = "not of a package"
			}
			words = append(words, pkg+" "+version)
		}
		found[p.name] = strings.Join(words, ", ")
	}
	return found
}
