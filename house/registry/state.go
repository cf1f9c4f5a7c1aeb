package registry

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/house/pki"
	"github.com/stream-pump/stream-pump/house/roster"
)

// State is everything that is kept, at one moment. It and what it holds is not changed.
type State struct {
	Roster  *roster.Roster
	Streams []Stream // in the order of the configuration

	Authority    *pki.Authority // nil before the first house has made it
	Certificates map[string]Certificate
	Tokens       map[string]Token

	pumps   map[string]pumpEntry
	keys    map[string]keyEntry
	invites map[string]inviteEntry
	session []byte // what signs sessions
	expect  []roster.Expectation
	seeds   map[string]string // what was taken from files, by key: digest
	streams map[string]Stream // by lower-case path

	ended   map[string]endedEntry        // by the session's id
	logouts map[string]logoutEntry       // by userKey
	users   map[string]map[string]string // of each house's configuration: mark → name
	gone    map[string]goneEntry         // by mark
	bundle  bundleHead                   // revision 0: there is none
	parts   map[int][]byte               // of the bundle

	revisions map[string]uint64 // of all entries, by key
	at        uint64            // the highest revision that has come
	parents   map[string][]string
}

// Stream is one stream as it is kept.
type Stream struct {
	Revision uint64
	Place    int
	Config   config.Stream
}

// Certificate is one that the authority gave to a pump.
type Certificate struct {
	Serial   string    `json:"-"`
	Pump     string    `json:"pump"`
	Issued   time.Time `json:"issued"`
	NotAfter time.Time `json:"not_after"`
	Revoked  time.Time `json:"revoked,omitzero"`
	By       string    `json:"by"` // invite or renewal

	revision uint64
}

// Token lets a program use the API.
type Token struct {
	ID      string    `json:"-"`
	Name    string    `json:"name"`
	Role    string    `json:"role"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`
	Hash    []byte    `json:"hash"` // SHA-256 of a text of 256 random bits
}

type pumpEntry struct {
	pump     roster.Pump
	place    int
	revision uint64
}

// placed is a pump or a stream in the store, with its place in the order.
type placed struct {
	Place int             `json:"place"`
	Value json.RawMessage `json:"value"`
}

type keyEntry struct {
	hash     string
	revision uint64
}

type inviteEntry struct {
	Hash    []byte    `json:"hash"` // SHA-256 of 128 random bits
	Expires time.Time `json:"expires"`

	revision uint64
}

func emptyState() *State {
	return &State{
		Roster: &roster.Roster{}, Certificates: map[string]Certificate{}, Tokens: map[string]Token{}, pumps: map[string]pumpEntry{},
		keys: map[string]keyEntry{}, invites: map[string]inviteEntry{}, seeds: map[string]string{}, streams: map[string]Stream{},
		parts: map[int][]byte{}, revisions: map[string]uint64{},
		ended: map[string]endedEntry{}, logouts: map[string]logoutEntry{}, users: map[string]map[string]string{}, gone: map[string]goneEntry{},
	}
}

// clone returns a copy that can be changed.
func (s *State) clone() *State {
	c := *s
	c.Certificates, c.Tokens, c.pumps = maps.Clone(s.Certificates), maps.Clone(s.Tokens), maps.Clone(s.pumps)
	c.keys, c.invites, c.seeds, c.streams = maps.Clone(s.keys), maps.Clone(s.invites), maps.Clone(s.seeds), maps.Clone(s.streams)
	c.parts, c.revisions = maps.Clone(s.parts), maps.Clone(s.revisions)
	c.ended, c.logouts, c.users, c.gone = maps.Clone(s.ended), maps.Clone(s.logouts), maps.Clone(s.users), maps.Clone(s.gone)
	return &c
}

// arrange puts pumps and streams in their order.
func (s *State) arrange() {
	list := slices.SortedFunc(maps.Values(s.pumps), func(a, b pumpEntry) int {
		return cmp.Or(cmp.Compare(a.place, b.place), cmp.Compare(a.pump.ID, b.pump.ID))
	})
	s.Roster = &roster.Roster{Expectations: s.expect}
	for _, e := range list {
		s.Roster.Pumps = append(s.Roster.Pumps, e.pump)
	}
	s.parents = s.Roster.Acyclic()
	s.Streams = slices.SortedFunc(maps.Values(s.streams), func(a, b Stream) int {
		return cmp.Or(cmp.Compare(a.Place, b.Place), cmp.Compare(a.Config.Path, b.Config.Path))
	})
}

// Kinds of keys in the store: the first word of each.
const (
	kindPump        = "pump."
	kindStream      = "stream."
	kindKey         = "key."
	kindInvite      = "invite."
	kindCertificate = "certificate."
	kindToken       = "token."
	kindSeed        = "seed."
	kindEnded       = "ended."  // sessions that were logged out of
	kindLogout      = "logout." // of all sessions of a user
	kindUsers       = "users."  // of a house's configuration
	kindGone        = "gone."   // users that a house has lost
	keyAuthority    = "authority"
	keySessions     = "sessions"
	keyExpect       = "expect"
	keyBundle       = "bundle" // an import that is not done yet
	kindPart        = "part."  // of it
)

// take puts one entry of the store into s; nil data: it was deleted.
func (s *State) take(key string, data []byte, revision uint64) error {
	s.at = max(s.at, revision)
	if data == nil {
		delete(s.revisions, key)
	} else {
		s.revisions[key] = revision
	}
	kind, name := key, ""
	if i := strings.IndexByte(key, '.'); i >= 0 {
		kind, name = key[:i+1], key[i+1:]
	}
	switch kind {
	case kindPump:
		return s.takePump(name, data, revision)
	case kindStream:
		return s.takeStream(name, data, revision)
	case kindKey:
		return into(s.keys, name, data, func() (keyEntry, error) { return keyEntry{string(data), revision}, nil })
	case kindSeed:
		return into(s.seeds, name, data, func() (string, error) { return string(data), nil })
	case kindInvite:
		return into(s.invites, name, data, func() (inviteEntry, error) {
			e := inviteEntry{revision: revision}
			return e, json.Unmarshal(data, &e)
		})
	case kindCertificate:
		return into(s.Certificates, name, data, func() (Certificate, error) {
			c := Certificate{Serial: name, revision: revision}
			return c, json.Unmarshal(data, &c)
		})
	case kindToken:
		return into(s.Tokens, name, data, func() (Token, error) {
			t := Token{ID: name}
			return t, json.Unmarshal(data, &t)
		})
	case kindEnded, kindLogout, kindUsers, kindGone:
		return s.takeSession(kind, name, data)
	case keyAuthority:
		a, err := pki.Unmarshal(data)
		if err != nil {
			return err
		}
		s.Authority = a
	case keySessions:
		s.session = data
	case keyBundle:
		s.bundle = bundleHead{}
		if data == nil {
			return nil
		}
		h := bundleHead{revision: revision}
		if err := json.Unmarshal(data, &h); err != nil {
			return fmt.Errorf("reading an import: %w", err)
		}
		s.bundle = h
	case kindPart:
		i, err := strconv.Atoi(name)
		if err != nil {
			return fmt.Errorf("reading a part of an import: %w", err)
		}
		return into(s.parts, i, data, func() ([]byte, error) { return data, nil })
	case keyExpect:
		if data == nil {
			s.expect = nil
			return nil
		}
		f, err := roster.Parse("expect.json", data)
		if err != nil {
			return fmt.Errorf("reading expectations: %w", err)
		}
		s.expect = f.Roster.Expectations
	}
	return nil // of a newer house, perhaps
}

// into puts what was read into m, or takes it out.
func into[K comparable, T any](m map[K]T, name K, data []byte, read func() (T, error)) error {
	if data == nil {
		delete(m, name)
		return nil
	}
	v, err := read()
	if err != nil {
		return err
	}
	m[name] = v
	return nil
}

func (s *State) takePump(id string, data []byte, revision uint64) error {
	return into(s.pumps, id, data, func() (pumpEntry, error) {
		var e placed
		if err := json.Unmarshal(data, &e); err != nil {
			return pumpEntry{}, err
		}
		p, _, err := roster.UnmarshalPump(e.Value)
		return pumpEntry{p, e.Place, revision}, err
	})
}

func (s *State) takeStream(path string, data []byte, revision uint64) error {
	return into(s.streams, path, data, func() (Stream, error) {
		var e placed
		if err := json.Unmarshal(data, &e); err != nil {
			return Stream{}, err
		}
		c, err := config.ParseStream("stream "+path, e.Value, anyKey, nil)
		if err != nil {
			return Stream{}, err
		}
		return Stream{Revision: revision, Place: e.Place, Config: *c}, nil
	})
}

// anyKey stands for keys that were there when the stream was put.
var anyKey = config.Signing{Keys: []config.SigningKey{{Name: "any", Secret: "there was a key then"}}}

// Pump returns a pump and the revision of its entry.
func (s *State) Pump(id string) (roster.Pump, uint64, bool) {
	e, ok := s.pumps[id]
	return e.pump, e.revision, ok
}

// Stream returns a stream; case does not count.
func (s *State) Stream(path string) (Stream, bool) {
	e, ok := s.streams[strings.ToLower(path)]
	return e, ok
}

// Parents returns whom a pump may get its streams from, in order. There is no circle in them,
// whatever the roster says.
func (s *State) Parents(id string) []string { return s.parents[id] }

// Sign returns the signature of a session.
func (s *State) Sign(b []byte) []byte {
	m := hmac.New(sha256.New, s.session)
	m.Write(b)
	return m.Sum(nil)
}

// Signed tells whether a signature is that of a session.
func (s *State) Signed(b, signature []byte) bool { return hmac.Equal(s.Sign(b), signature) }

// HasKey tells whether a pump has a key.
func (s *State) HasKey(id string) bool { return s.keys[id].hash != "" }

// KeyRevision tells keys of one pump apart; 0: it has none.
func (s *State) KeyRevision(id string) uint64 { return s.keys[id].revision }

// hashes are the pumps' keys as they are exported.
func (s *State) hashes() map[string]string {
	m := make(map[string]string, len(s.keys))
	for id, k := range s.keys {
		m[id] = k.hash
	}
	return m
}

func sum(text []byte) []byte {
	h := sha256.Sum256(text)
	return h[:]
}
