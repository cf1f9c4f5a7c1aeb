package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/house/roster"
)

// Plan is what a roster would do to the viewers of now, if each of them came anew under it.
type Plan struct {
	Viewers  int           `json:"viewers" doc:"who watch now, without pumps downstream"`
	Stay     int           `json:"stay" doc:"may stay where they are"`
	Move     int           `json:"move" doc:"would be sent to another pump"`
	Refuse   int           `json:"refuse" doc:"for whom there would be no pump"`
	Moves    []PlanMove    `json:"moves" nullable:"false" doc:"the most viewers first"`
	Refusals []PlanRefusal `json:"refusals" nullable:"false" doc:"likewise"`
	Pumps    []PlanPump    `json:"pumps" nullable:"false" doc:"pumps that would be added, removed or changed"`
	Expected int           `json:"expected" doc:"expectations that the roster holds"`
	Unmet    []string      `json:"unmet" nullable:"false" doc:"those that it does not fulfil"`
	Left     int           `json:"left_out" doc:"rows that are not shown: of each list the first thousand are"`
}

// PlanMove is viewers who would be sent from one pump to another.
type PlanMove struct {
	From    string `json:"from" doc:"id"`
	To      string `json:"to" doc:"id"`
	Viewers int    `json:"viewers"`
	AtOnce  bool   `json:"at_once" doc:"their pump would not have the stream any more; else when they come again"`
}

// PlanRefusal is viewers for whom there would be no pump.
type PlanRefusal struct {
	From    string `json:"from" doc:"id"`
	Viewers int    `json:"viewers"`
	AtOnce  bool   `json:"at_once"`
	Why     string `json:"why"`
}

// PlanPump is what would be different about a pump.
type PlanPump struct {
	ID   string `json:"id"`
	What string `json:"what" doc:"added, removed, or what changes"`
}

// maxRows bounds each list of a plan.
const maxRows = 1000

type rosterFile struct {
	ContentType string `header:"Content-Type"`
	ETag        string `header:"ETag"`
	Body        []byte
}

type rosterInput struct {
	Name    string `query:"name" maxLength:"256" default:"roster.json" doc:"what the file is called where its problems are told"`
	RawBody []byte `contentType:"application/json"`
}

type importInput struct {
	Name    string `query:"name" maxLength:"256" default:"roster.json" doc:"what the file is called where its problems are told"`
	IfMatch string `header:"If-Match" maxLength:"128" doc:"the ETag of the roster that this one was made or planned for"`
	RawBody []byte `contentType:"application/json"`
}

type planOutput struct {
	ETag string `header:"ETag" doc:"of the roster in force, for the import"`
	Body Plan
}

func (s *site) rosterAPI(a huma.API) {
	export := operation(http.MethodGet, "/roster", "export-roster", "roster", RoleSteer, "The roster in the form of its file; keys as hashes.")
	export.Responses = map[string]*huma.Response{"200": {Description: "the file", Content: map[string]*huma.MediaType{"application/json": {}}}}
	huma.Register(a, export, func(context.Context, *struct{}) (*rosterFile, error) {
		file := s.opts.Steering.ExportRoster()
		return &rosterFile{"application/json", digest(file), file}, nil
	})
	put := operation(http.MethodPut, "/roster", "import-roster", "roster", RoleSteer,
		"Make the roster equal to a file. Everything that is wrong with it is told at once, with line and column. "+
			"With If-Match it is refused if the roster has changed since it was read or planned for.", changes...)
	ofRoster(&put)
	huma.Register(a, put, s.importRoster)
	plan := operation(http.MethodPost, "/roster/plan", "plan-roster", "roster", RoleLook,
		"Tell what a roster file would do to the viewers of now, and whether it is as it expects itself to be. Nothing is put in force.",
		http.StatusUnprocessableEntity, http.StatusServiceUnavailable)
	ofRoster(&plan)
	plan.Middlewares = huma.Middlewares{oneByOne(a)}
	huma.Register(a, plan, func(_ context.Context, in *rosterInput) (*planOutput, error) {
		tag := digest(s.opts.Steering.ExportRoster())
		p, err := s.opts.Steering.Plan(in.Name, in.RawBody)
		if err != nil {
			return nil, fault(err)
		}
		return &planOutput{tag, planOf(p)}, nil
	})
}

// ofRoster lets an operation take what a roster file may be.
func ofRoster(op *huma.Operation) {
	op.MaxBodyBytes = config.MaxRosterBytes
	op.SkipValidateBody = true
}

// oneByOne lets one plan be made at a time: it looks at every viewer.
func oneByOne(a huma.API) func(huma.Context, func(huma.Context)) {
	slot := make(chan struct{}, 1)
	return func(ctx huma.Context, next func(huma.Context)) {
		select {
		case slot <- struct{}{}:
			defer func() { <-slot }()
			next(ctx)
		default:
			ctx.SetHeader("Retry-After", "2")
			_ = huma.WriteErr(a, ctx, http.StatusServiceUnavailable, "another plan is being made")
		}
	}
}

func (s *site) importRoster(ctx context.Context, in *importInput) (*struct{}, error) {
	if in.IfMatch != "" && in.IfMatch != "*" && in.IfMatch != digest(s.opts.Steering.ExportRoster()) {
		return nil, fault(ErrChanged)
	}
	ctx, cancel := changing(ctx)
	defer cancel()
	if err := s.opts.Steering.ImportRoster(ctx, in.Name, in.RawBody); err != nil {
		return nil, fault(err)
	}
	s.did(ctx, "", "imported a roster")
	return nil, nil
}

// digest is the ETag of a roster, the same at every house of the fleet.
func digest(file []byte) string {
	sum := sha256.Sum256(file)
	return `"` + hex.EncodeToString(sum[:12]) + `"`
}

func planOf(p *roster.Plan) Plan {
	all := Plan{
		Viewers: p.Viewers, Stay: p.Stay, Expected: p.Expected, Unmet: append([]string{}, p.Unmet...),
		Moves: []PlanMove{}, Refusals: []PlanRefusal{}, Pumps: []PlanPump{},
	}
	for _, m := range p.Moves {
		all.Move += m.Viewers
		all.Moves = append(all.Moves, PlanMove(m))
	}
	for _, r := range p.Refused {
		all.Refuse += r.Viewers
		all.Refusals = append(all.Refusals, PlanRefusal(r))
	}
	for _, c := range p.Pumps {
		all.Pumps = append(all.Pumps, PlanPump(c))
	}
	first(&all.Moves, &all.Left)
	first(&all.Refusals, &all.Left)
	first(&all.Pumps, &all.Left)
	first(&all.Unmet, &all.Left)
	return all
}

// first keeps the first rows of a list, and counts the others.
func first[T any](list *[]T, others *int) {
	n := min(len(*list), maxRows)
	*others += len(*list) - n
	*list = (*list)[:n]
}
