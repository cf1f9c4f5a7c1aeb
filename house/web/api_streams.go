package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/stream-pump/stream-pump/fleet"
)

// Tree is who gives a stream to whom.
type Tree struct {
	Stream string     `json:"stream"`
	Nodes  []TreeNode `json:"nodes" nullable:"false" doc:"pumps that have the stream, or should, in the order of the roster"`
}

// TreeNode is one pump in the tree of a stream.
type TreeNode struct {
	Pump    string   `json:"pump"`
	Title   string   `json:"title"`
	State   string   `json:"state" enum:"up,down,never"`
	Stream  string   `json:"stream" enum:"offline,connecting,live,fallback,none" doc:"none: the pump does not say that it has the stream"`
	Parent  string   `json:"parent" doc:"pump that delivers now; empty: none does"`
	Source  string   `json:"source" doc:"who delivers now, without secrets"`
	Parents []string `json:"parents" nullable:"false" doc:"as the roster wants it"`
	Viewers int64    `json:"viewers"`
	BPS     int64    `json:"bps"`
}

// ByPath names a stream.
type ByPath struct {
	Path string `path:"path" maxLength:"128" doc:"of the stream; case does not count"`
}

type streamOutput struct {
	ETag string `header:"ETag"`
	Body StreamDetail
}

type putStream struct {
	ByPath
	Conditional
	RawBody []byte `contentType:"application/json"`
}

type deleteStream struct {
	ByPath
	Conditional
}

func (s *site) streamAPI(a huma.API) {
	huma.Register(a, operation(http.MethodGet, "/streams", "streams", "streams", RoleLook, "All streams over the whole fleet."),
		func(context.Context, *struct{}) (*body[[]StreamInfo], error) {
			return &body[[]StreamInfo]{see(s.opts.Fleet).streams()}, nil
		})
	huma.Register(a, operation(http.MethodGet, "/streams/{path}", "stream", "streams", RoleLook, "One stream with its settings.", http.StatusNotFound),
		func(_ context.Context, in *ByPath) (*streamOutput, error) { return s.stream(in.Path) })
	put := operation(http.MethodPut, "/streams/{path}", "put-stream", "streams", RoleSteer,
		"Add a stream, or change it: an object as an entry of streams in stream-pump's configuration. Secrets that are *** stay what they are.", changes...)
	put.SkipValidateBody = true
	huma.Register(a, put, s.putStream)
	huma.Register(a, operation(http.MethodDelete, "/streams/{path}", "delete-stream", "streams", RoleSteer, "Take a stream off all pumps.", changes...),
		func(ctx context.Context, in *deleteStream) (*struct{}, error) {
			ctx, cancel := changing(ctx)
			defer cancel()
			rev, err := revision(in.IfMatch)
			if err == nil {
				err = fault(s.opts.Steering.DeleteStream(ctx, in.Path, rev))
			}
			if err != nil {
				return nil, err
			}
			s.did(ctx, "", "stream "+in.Path+" taken off")
			return nil, nil
		})
	huma.Register(a, operation(http.MethodGet, "/streams/{path}/tree", "tree", "streams", RoleLook, "Who gives a stream to whom now.", http.StatusNotFound),
		func(_ context.Context, in *ByPath) (*body[Tree], error) {
			l := see(s.opts.Fleet)
			for _, st := range l.streams() {
				if strings.EqualFold(st.Path, in.Path) {
					return &body[Tree]{l.tree(st.Path)}, nil
				}
			}
			return nil, errNoStream(in.Path)
		})
}

func errNoStream(path string) error {
	return huma.Error404NotFound(fmt.Sprintf("there is no stream %q", fleet.Shorten(path)))
}

func (s *site) stream(path string) (*streamOutput, error) {
	for _, st := range see(s.opts.Fleet).streams() {
		if !strings.EqualFold(st.Path, path) {
			continue
		}
		d := StreamDetail{StreamInfo: st}
		for _, e := range s.opts.Steering.Streams() {
			if strings.EqualFold(e.Path, path) {
				d.Revision, d.Settings = e.Revision, e.Settings
			}
		}
		return &streamOutput{etag(d.Revision), d}, nil
	}
	return nil, errNoStream(path)
}

func (s *site) putStream(ctx context.Context, in *putStream) (*streamOutput, error) {
	rev, err := revision(in.IfMatch)
	if err != nil {
		return nil, err
	}
	settings, err := withPath(in.RawBody, in.Path)
	if err != nil {
		return nil, err
	}
	ctx, cancel := changing(ctx)
	defer cancel()
	path, now, err := s.opts.Steering.PutStream(ctx, settings, rev)
	if err != nil {
		return nil, fault(err)
	}
	s.did(ctx, "", "stream "+path+" changed")
	out, err := s.stream(path)
	if err != nil {
		return nil, err
	}
	out.ETag, out.Body.Revision = etag(now), now
	return out, nil
}

// withPath sees to it that settings name the path of the address, and no other one.
func withPath(settings []byte, path string) (json.RawMessage, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(settings, &object); err != nil || object == nil {
		return nil, huma.Error400BadRequest("the body is no JSON object")
	}
	var named string
	if text, ok := object["path"]; ok {
		if json.Unmarshal(text, &named) != nil || !strings.EqualFold(named, path) {
			return nil, huma.Error422UnprocessableEntity("path in the settings is not that of the address")
		}
		return settings, nil
	}
	object["path"] = json.RawMessage(quote(path))
	return json.RawMessage(mustJSON(object)), nil
}

func quote(s string) string { return string(mustJSON(s)) }

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil { // of texts, and of JSON that was read before
		panic("web: writing JSON: " + err.Error())
	}
	return b
}

// tree shows the pumps that have a stream, or that should have it.
func (l *look) tree(path string) Tree {
	t := Tree{Stream: path, Nodes: []TreeNode{}}
	_, given := l.view.Stream(strings.ToLower(path))
	for i := range l.pumps {
		p := &l.pumps[i]
		n := TreeNode{Pump: p.ID, Title: p.Title, State: p.State, Stream: "none", Parents: p.Parents}
		for _, s := range p.Streams {
			if strings.EqualFold(s.Path, path) {
				n.Stream, n.Parent, n.Source, n.Viewers, n.BPS = s.State, s.Parent, s.Source, s.Viewers, s.BPS
			}
		}
		if n.Stream != "none" || given && p.Enabled {
			t.Nodes = append(t.Nodes, n)
		}
	}
	return t
}
