package web

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/stream-pump/stream-pump/config"
)

const prefix = "/api/v1"

// Metadata of operations.
const (
	needs     = "needs" // RoleLook or RoleSteer; without it nobody has to log in
	maxBody   = 4 << 20
	changeMax = 20 * time.Second // one change may wait for the store or a pump
)

type whoKey struct{}

// who is whoever sent the request.
func who(ctx context.Context) Who {
	w, _ := ctx.Value(whoKey{}).(Who)
	return w
}

// api returns what serves and describes everything under /api/.
func (s *site) api() http.Handler {
	mux := http.NewServeMux()
	c := huma.DefaultConfig("Pump House", s.opts.Version)
	c.Info.Description = "Sees and steers a fleet of stream pumps: everything that the page can do. " +
		"Roles: look sees everything but secrets, steer may change things. Revisions come as ETag; a change with If-Match is refused if somebody else was faster."
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = prefix+"/openapi", "", "" // a page of documentation would load things from elsewhere
	c.CreateHooks = nil
	c.RejectUnknownQueryParameters = true
	c.Transformers = []huma.Transformer{withoutValues}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token":    {Type: "http", Scheme: "bearer", Description: "a token, made on the page or with POST /tokens"},
		"password": {Type: "http", Scheme: "basic", Description: "a user of the configuration"},
		"session":  {Type: "apiKey", In: "cookie", Name: "__Host-pump-house", Description: "what POST /session begins; without TLS the cookie is called pump-house"},
	}
	a := humago.New(mux, c)
	a.UseMiddleware(s.admit(a))
	s.sessionAPI(a)
	s.fleetAPI(a)
	s.pumpAPI(a)
	s.streamAPI(a)
	s.viewerAPI(a)
	s.secretAPI(a)
	s.liveAPI(a)
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		problem(w, http.StatusNotFound, "the API has no "+r.URL.Path+"; see "+prefix+"/openapi.json")
	})
	return mux
}

// operation describes one operation; need is the role that it wants, empty for none.
func operation(method, path, id, tag, need, summary string, refusals ...int) huma.Operation {
	op := huma.Operation{
		OperationID: id, Method: method, Path: prefix + path, Tags: []string{tag}, Summary: summary, MaxBodyBytes: maxBody,
		Errors: append([]int{http.StatusForbidden, http.StatusTooManyRequests}, refusals...), Metadata: map[string]any{needs: need},
	}
	if need != "" {
		op.Errors = append(op.Errors, http.StatusUnauthorized)
		op.Security = []map[string][]string{{"token": {}}, {"password": {}}, {"session": {}}}
		op.Description = "Role: " + need + "."
	}
	return op
}

// admit lets in who may do what the operation does.
func (s *site) admit(a huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		need, _ := ctx.Operation().Metadata[needs].(string)
		r, w := humago.Unwrap(ctx)
		if need == "" {
			if !s.opts.Secure(r) {
				_ = huma.WriteErr(a, ctx, errPlain.status, errPlain.text)
				return
			}
			next(ctx)
			return
		}
		me, fault := s.door.identify(r)
		switch {
		case fault != nil:
			tell(w.Header(), fault)
			_ = huma.WriteErr(a, ctx, fault.status, fault.text)
		case need == RoleSteer && me.Role != RoleSteer:
			_ = huma.WriteErr(a, ctx, http.StatusForbidden, "this wants the role steer; "+me.Name+" has "+me.Role)
		default:
			next(huma.WithValue(ctx, whoKey{}, me))
		}
	}
}

// tell sets the headers that go with a refusal.
func tell(h http.Header, r *refusal) {
	if r.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="pump-house"`) // Basic would make browsers ask in a window of their own
	}
	if r.wait > 0 {
		h.Set("Retry-After", r.retryAfter())
	}
}

// problem answers as huma does (RFC 9457), where it is not in charge.
func problem(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(huma.ErrorModel{Title: http.StatusText(status), Status: status, Detail: text})
}

// withoutValues keeps what was sent out of the answers that refuse it: it may be a secret.
func withoutValues(_ huma.Context, _ string, v any) (any, error) {
	if e, ok := v.(*huma.ErrorModel); ok {
		for _, d := range e.Errors {
			d.Value = nil
		}
	}
	return v, nil
}

// fault turns errors of [Steering] into answers.
func fault(err error) error {
	var problems config.Problems
	switch {
	case err == nil:
		return nil
	case errors.As(err, &problems):
		return problemsOf(problems)
	case errors.Is(err, ErrNotFound):
		return huma.Error404NotFound(err.Error())
	case errors.Is(err, ErrChanged):
		return huma.NewError(http.StatusPreconditionFailed, ErrChanged.Error()+"; look at it again")
	case errors.Is(err, ErrUnavailable), errors.Is(err, ErrUnreachable), errors.Is(err, context.DeadlineExceeded):
		return huma.ErrorWithHeaders(huma.Error503ServiceUnavailable(err.Error()), http.Header{"Retry-After": {"5"}})
	case errors.Is(err, ErrNoKeys):
		return huma.Error409Conflict(err.Error())
	}
	return huma.Error422UnprocessableEntity(err.Error())
}

func problemsOf(list config.Problems) error {
	errs := make([]error, len(list))
	for i, p := range list {
		d := &huma.ErrorDetail{Message: p.What}
		if p.Right != "" {
			d.Message += " (" + p.Right + ")"
		}
		if p.Line > 0 {
			d.Location = strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column)
		}
		errs[i] = d
	}
	return huma.Error422UnprocessableEntity("this would be wrong; nothing was changed", errs...)
}

// changing bounds a change, and survives a caller who goes away in the midst of it.
func changing(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), changeMax)
}

// did notes what an operator has done, for the log and for the events of the page.
func (s *site) did(ctx context.Context, pump, what string) {
	w := who(ctx)
	s.opts.Log.Info("steered", slog.String("what", what), slog.String("pump", pump), slog.String("by", w.Name), slog.String("kind", w.Kind))
	s.opts.Fleet.Note(pump, what+", by "+w.Name)
}

// revision is what If-Match says: 0 for whatever is there.
func revision(ifMatch string) (uint64, error) {
	text := strings.Trim(strings.TrimPrefix(strings.TrimSpace(ifMatch), "W/"), `"`)
	if text == "" || text == "*" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 {
		return 0, huma.Error400BadRequest("If-Match is no revision of this API: send the ETag that came with what you change")
	}
	return n, nil
}

func etag(revision uint64) string { return `"` + strconv.FormatUint(revision, 10) + `"` }
