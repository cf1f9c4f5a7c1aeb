package web

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/stream-pump/stream-pump/access"
)

// CertificateInfo is a certificate that the house gave to a pump.
type CertificateInfo struct {
	Serial   string     `json:"serial" doc:"hexadecimal"`
	Pump     string     `json:"pump"`
	Issued   time.Time  `json:"issued"`
	NotAfter time.Time  `json:"not_after"`
	Revoked  *time.Time `json:"revoked,omitempty"`
	Issuer   string     `json:"issuer" doc:"what it was asked with: invite or renewal"`
}

// TokenInfo is a token, without its text.
type TokenInfo struct {
	ID      string     `json:"id"`
	Name    string     `json:"name"`
	Role    string     `json:"role" enum:"look,steer"`
	Created time.Time  `json:"created"`
	Expires *time.Time `json:"expires,omitempty" doc:"left out: never"`
}

// NewToken is a token with its text.
type NewToken struct {
	TokenInfo
	Token string `json:"token" doc:"for Authorization: Bearer; shown once"`
}

// Signed is a signed address.
type Signed struct {
	Address string    `json:"address" doc:"path and query, to be put behind the address of the house"`
	Expires time.Time `json:"expires"`
}

type postToken struct {
	Body struct {
		Name   string `json:"name" minLength:"1" maxLength:"128" doc:"what it is for"`
		Role   string `json:"role" enum:"look,steer"`
		ValidS int64  `json:"valid_s,omitempty" minimum:"0" maximum:"315360000" doc:"seconds; 0: for ever"`
	}
}

type tokenID struct {
	ID string `path:"id" maxLength:"64"`
}

type serial struct {
	Serial string `path:"serial" maxLength:"64" doc:"hexadecimal"`
}

type postSign struct {
	Body struct {
		Stream  string `json:"stream" maxLength:"128" doc:"path"`
		Client  string `json:"client,omitempty" maxLength:"256" doc:"id of the viewer in another system"`
		ValidS  int64  `json:"valid_s" minimum:"1" maximum:"315360000" doc:"seconds; viewing ends then, too"`
		Network string `json:"network,omitempty" maxLength:"64" doc:"only from there: an address or a network"`
	}
}

func (s *site) secretAPI(a huma.API) {
	huma.Register(a, operation(http.MethodGet, "/tokens", "tokens", "tokens", RoleSteer, "The API's tokens, without their texts."),
		func(context.Context, *struct{}) (*body[[]TokenInfo], error) {
			list := []TokenInfo{}
			for _, t := range s.opts.Steering.Tokens() {
				list = append(list, tokenInfo(t))
			}
			slices.SortFunc(list, func(a, b TokenInfo) int { return a.Created.Compare(b.Created) })
			return &body[[]TokenInfo]{list}, nil
		})
	post := operation(http.MethodPost, "/tokens", "create-token", "tokens", RoleSteer, "Make a token.", http.StatusUnprocessableEntity, http.StatusServiceUnavailable)
	post.DefaultStatus = http.StatusCreated
	huma.Register(a, post, s.createToken)
	huma.Register(a, operation(http.MethodDelete, "/tokens/{id}", "delete-token", "tokens", RoleSteer, "Take a token back.", http.StatusNotFound, http.StatusServiceUnavailable),
		func(ctx context.Context, in *tokenID) (*struct{}, error) {
			ctx, cancel := changing(ctx)
			defer cancel()
			if err := s.opts.Steering.DeleteToken(ctx, in.ID); err != nil {
				return nil, fault(err)
			}
			s.did(ctx, "", "token "+in.ID+" taken back")
			return nil, nil
		})
	huma.Register(a, operation(http.MethodGet, "/certificates", "certificates", "certificates", RoleLook, "The certificates of pumps, the newest first."),
		func(context.Context, *struct{}) (*body[[]CertificateInfo], error) {
			list := []CertificateInfo{}
			for _, c := range s.opts.Steering.Certificates() {
				list = append(list, CertificateInfo{c.Serial, c.Pump, c.Issued.UTC(), c.NotAfter.UTC(), moment(c.Revoked), c.Issuer})
			}
			slices.SortFunc(list, func(a, b CertificateInfo) int { return b.Issued.Compare(a.Issued) })
			return &body[[]CertificateInfo]{list}, nil
		})
	huma.Register(a, operation(http.MethodDelete, "/certificates/{serial}", "revoke", "certificates", RoleSteer,
		"Revoke a certificate: what the pump began with it ends at once.", http.StatusNotFound, http.StatusServiceUnavailable),
		func(ctx context.Context, in *serial) (*struct{}, error) {
			ctx, cancel := changing(ctx)
			defer cancel()
			if err := s.opts.Steering.Revoke(ctx, in.Serial); err != nil {
				return nil, fault(err)
			}
			s.did(ctx, s.pumpOf(in.Serial), "certificate "+in.Serial+" revoked")
			return nil, nil
		})
	sign := operation(http.MethodPost, "/sign", "sign", "viewers", RoleSteer, "A signed address of a stream, for one viewer.", http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity)
	huma.Register(a, sign, s.sign)
}

func tokenInfo(t Token) TokenInfo {
	return TokenInfo{ID: t.ID, Name: t.Name, Role: t.Role, Created: t.Created.UTC(), Expires: moment(t.Expires)}
}

func (s *site) createToken(ctx context.Context, in *postToken) (*body[NewToken], error) {
	ctx, cancel := changing(ctx)
	defer cancel()
	t, text, err := s.opts.Steering.CreateToken(ctx, in.Body.Name, in.Body.Role, time.Duration(in.Body.ValidS)*time.Second)
	if err != nil {
		return nil, fault(err)
	}
	s.did(ctx, "", "token "+t.ID+" made, role "+t.Role)
	return &body[NewToken]{NewToken{tokenInfo(t), text}}, nil
}

func (s *site) pumpOf(serial string) string {
	for _, c := range s.opts.Steering.Certificates() {
		if strings.EqualFold(c.Serial, serial) {
			return c.Pump
		}
	}
	return ""
}

func (s *site) sign(_ context.Context, in *postSign) (*body[Signed], error) {
	var network netip.Prefix
	if in.Body.Network != "" {
		var err error
		if network, err = access.ParsePrefix(in.Body.Network); err != nil {
			return nil, huma.Error422UnprocessableEntity("network: " + err.Error())
		}
	}
	address, expires, err := s.opts.Steering.Sign(in.Body.Stream, in.Body.Client, time.Duration(in.Body.ValidS)*time.Second, network)
	if err != nil {
		return nil, fault(err)
	}
	return &body[Signed]{Signed{address, expires.UTC()}}, nil
}
