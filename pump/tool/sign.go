package tool

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/config"
)

// ErrSign says that an address cannot be signed as wanted.
var ErrSign = errors.New("cannot sign")

// SignOptions say what a signed address permits. Config and Stream are required.
type SignOptions struct {
	Config  *config.Config
	Stream  string        // path
	Key     string        // name of the key; empty: the first
	ID      string        // of the viewer in another system
	Network string        // an address or a network that the viewer must come from; empty: any
	For     time.Duration // until then it permits
	Now     time.Time
	Base    string // in front of the address, as mmsh://HOST:8086; empty: from /streams/ on
}

// SignReport is a signed address.
type SignReport struct {
	URL     string    `json:"url"`
	Expires time.Time `json:"expires"`
	Key     string    `json:"key"`
	Needed  bool      `json:"needed"` // the stream asks for signed addresses
}

// Sign makes an address that a pump with this configuration lets in. Errors are
// [ErrSign].
func Sign(o SignOptions) (SignReport, error) {
	i := slices.IndexFunc(o.Config.Streams, func(s config.Stream) bool { return s.Enabled && strings.EqualFold(s.Path, o.Stream) })
	if i < 0 {
		return SignReport{}, fmt.Errorf("%w: the configuration has no stream with the path %q", ErrSign, o.Stream)
	}
	s := o.Config.Streams[i]
	key, err := keyOf(o.Config, o.Key)
	if err != nil {
		return SignReport{}, err
	}
	g := access.Grant{Stream: s.Path, ID: o.ID, Expires: o.Now.Add(o.For).Truncate(time.Second)}
	if o.Network != "" {
		if g.Network, err = access.ParsePrefix(o.Network); err != nil {
			return SignReport{}, fmt.Errorf("%w: %w", ErrSign, err)
		}
	}
	query, err := key.Sign(g, o.Config.IDParameter)
	if err != nil {
		return SignReport{}, fmt.Errorf("%w: %w", ErrSign, err)
	}
	return SignReport{
		URL: strings.TrimSuffix(o.Base, "/") + "/streams/" + s.Path + "?" + query, Expires: g.Expires, Key: key.Name, Needed: s.Play.Signed,
	}, nil
}

// keyOf returns the key to sign with.
func keyOf(c *config.Config, name string) (access.Key, error) {
	var names []string
	for _, k := range c.Signing.Keys {
		if name == "" || k.Name == name {
			return access.Key(k), nil
		}
		names = append(names, k.Name)
	}
	if len(names) == 0 {
		return access.Key{}, fmt.Errorf("%w: the configuration has no signing.keys", ErrSign)
	}
	return access.Key{}, fmt.Errorf("%w: there is no key %q; there is %s", ErrSign, name, strings.Join(names, ", "))
}
