package store

import (
	"crypto/tls"
	"log/slog"
)

// Options say where the fleet is kept.
type Options struct {
	Name     string // of this house: unique among houses
	Prefix   string // of buckets and subjects
	Replicas int    // 1, or 3 and 5 in a cluster
	Log      *slog.Logger

	// Dir is where the server within this program keeps its files. Empty: URLs name servers
	// that are there.
	Dir     string
	Cluster Cluster

	// Kept is the file in which is written down how far the store at URLs is; empty: nowhere.
	Kept string

	URLs        []string
	Credentials string // file
	User        string
	Password    string
	TLS         *tls.Config // nil: the system's roots, where the URL says tls
}

// Cluster joins the servers of several houses. An empty Listen: this house is alone.
type Cluster struct {
	Listen string   // host:port
	Routes []string // host:port of the others
	Secret string
	TLS    *tls.Config // for both directions, with client certificates
}
