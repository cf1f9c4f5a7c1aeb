package web

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// Me is whoever is logged in.
type Me struct {
	Name    string     `json:"name"`
	Kind    string     `json:"kind" enum:"user,token"`
	Role    string     `json:"role" enum:"look,steer"`
	Expires *time.Time `json:"expires,omitempty" doc:"end of the session or the token"`
}

type meOutput struct {
	SetCookie []http.Cookie `header:"Set-Cookie"`
	Body      Me
}

type login struct {
	request *http.Request
	Body    struct {
		Name     string `json:"name"`
		Password string `json:"password" format:"password"`
	}
}

// Resolve keeps the request, of which the log-in wants the address.
func (l *login) Resolve(ctx huma.Context) []error {
	l.request, _ = humago.Unwrap(ctx)
	return nil
}

type bare struct{ request *http.Request }

func (b *bare) Resolve(ctx huma.Context) []error {
	b.request, _ = humago.Unwrap(ctx)
	return nil
}

func (s *site) sessionAPI(a huma.API) {
	in := operation(http.MethodPost, "/session", "log-in", "session", "", "Log in with name and password, and get a cookie.",
		http.StatusUnauthorized, http.StatusServiceUnavailable)
	in.MaxBodyBytes = 8 << 10
	huma.Register(a, in, func(ctx context.Context, l *login) (*meOutput, error) {
		w, fault := s.door.byPassword(l.request.WithContext(ctx), l.Body.Name, l.Body.Password)
		if fault != nil {
			err := huma.NewError(fault.status, fault.text)
			if fault.wait > 0 {
				return nil, huma.ErrorWithHeaders(err, http.Header{"Retry-After": {fault.retryAfter()}})
			}
			return nil, err
		}
		u, _ := s.door.users().find(w.Name)
		text, expires := s.door.begin(u)
		s.opts.Log.Info("logged in", "name", w.Name, "address", s.opts.Remote(l.request).String())
		return &meOutput{SetCookie: []http.Cookie{*cookie(l.request, text)}, Body: Me{w.Name, w.Kind, w.Role, moment(expires)}}, nil
	})
	huma.Register(a, operation(http.MethodGet, "/session", "who-am-i", "session", RoleLook, "Who is logged in."),
		func(ctx context.Context, _ *struct{}) (*struct{ Body Me }, error) {
			w := who(ctx)
			return &struct{ Body Me }{Me{w.Name, w.Kind, w.Role, moment(w.Expires)}}, nil
		})
	out := operation(http.MethodDelete, "/session", "log-out", "session", RoleLook, "Log out: the session ends, at every house of the fleet.", http.StatusServiceUnavailable)
	huma.Register(a, out, func(ctx context.Context, b *bare) (*struct {
		SetCookie []http.Cookie `header:"Set-Cookie"`
	}, error) {
		if err := s.door.end(ctx, who(ctx)); err != nil {
			s.opts.Log.Error("other houses cannot be told of a log-out", "name", who(ctx).Name, "error", err)
			return nil, huma.ErrorWithHeaders(huma.Error503ServiceUnavailable("logged out at this house; the others could not be told"),
				http.Header{"Set-Cookie": {cookie(b.request, "").String()}, "Retry-After": {"5"}})
		}
		return &struct {
			SetCookie []http.Cookie `header:"Set-Cookie"`
		}{[]http.Cookie{*cookie(b.request, "")}}, nil
	})
}
