package web

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/access"
	"github.com/stream-pump/stream-pump/fleet"
)

// read decodes an answer that has to be a success.
func read[T any](t *testing.T, r reply) (v T) {
	t.Helper()
	if r.status != http.StatusOK && r.status != http.StatusCreated {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if err := json.Unmarshal([]byte(r.body), &v); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
	return v
}

// The description names every operation that the page uses, with who may do it.
func TestTheDescription(t *testing.T) {
	w := newWorld(t, nil)
	r := w.do(w.newClient(), http.MethodGet, "/api/v1/openapi.json", "")
	d := read[struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Security    []map[string][]string
			Responses   map[string]any
		}
	}](t, r)
	if !strings.HasPrefix(d.OpenAPI, "3.1") {
		t.Errorf("version %s", d.OpenAPI)
	}
	var have []string
	for path, methods := range d.Paths {
		for method, op := range methods {
			have = append(have, strings.ToUpper(method)+" "+strings.TrimPrefix(path, prefix))
			if open := path == prefix+"/session" && method == "post"; open != (len(op.Security) == 0) || !open && op.Responses["401"] == nil {
				t.Errorf("%s %s: security %v, answers %v", method, path, op.Security, op.Responses)
			}
		}
	}
	slices.Sort(have)
	want := strings.Fields(strings.ReplaceAll(`DELETE_/certificates/{serial} DELETE_/clients/{id} DELETE_/pumps/{id} DELETE_/pumps/{id}/key DELETE_/session
		DELETE_/streams/{path} DELETE_/tokens/{id} DELETE_/viewers/{pump}/{id} GET_/certificates GET_/clients/{id} GET_/events GET_/fleet GET_/live GET_/networks
		GET_/pumps GET_/pumps/{id} GET_/roster GET_/session GET_/streams GET_/streams/{path} GET_/streams/{path}/tree GET_/tokens GET_/viewers GET_/viewers/{pump}/{id}
		POST_/pumps/{id}/invite POST_/roster/plan POST_/session POST_/sign POST_/tokens PUT_/pumps/{id} PUT_/pumps/{id}/draining PUT_/pumps/{id}/key PUT_/pumps/{id}/networks PUT_/roster
		PUT_/streams/{path}`, "\t", ""))
	for i := range want {
		want[i] = strings.Replace(want[i], "_", " ", 1)
	}
	if !slices.Equal(have, want) {
		t.Errorf("have %q\nwant %q", have, want)
	}
	if strings.Contains(strings.ToLower(r.body), "webhook") {
		t.Error("what the house asks for elsewhere is the configuration's alone")
	}
}

// Pumps downstream are no viewers, and pumps that are down do nothing.
func TestTheFleetIsCountedOnce(t *testing.T) {
	w := newWorld(t, nil)
	w.seven()
	p := w.teller()
	p.all()
	o := read[Overview](t, w.steer(http.MethodGet, "/api/v1/fleet", ""))
	if o.Totals.Viewers != 656 || o.Totals.Links != 6 || o.Totals.Up != 7 || o.Totals.StreamsOn != 1 || o.Totals.Streams != 2 || o.Totals.MaxViewers != 2320 {
		t.Errorf("%+v", o.Totals)
	}
	if c := o.Pumps[1]; c.ID != "toronto" || c.Viewers != 122 || c.Downstream != 2 || c.Streams[0].Viewers != 122 || c.Streams[0].Parent != "ottawa" {
		t.Errorf("%+v", c)
	}
	if o.Streams[0].Viewers != 656 || o.Streams[0].Pumps != 7 || o.Streams[1].Pumps != 0 {
		t.Errorf("%+v", o.Streams)
	}
	w.later(10 * time.Second)
	p.tell("ottawa", 41, 0)
	w.fleet.Sweep(false)
	o = read[Overview](t, w.steer(http.MethodGet, "/api/v1/fleet", ""))
	if o.Totals.Viewers != 41 || o.Totals.Up != 1 || o.Pumps[1].State != StateDown || o.Pumps[1].OutBPS != 0 {
		t.Errorf("%+v %+v", o.Totals, o.Pumps[1])
	}
}

func TestPumps(t *testing.T) {
	w := newWorld(t, nil)
	w.seven()
	got := w.steer(http.MethodGet, "/api/v1/pumps/calgary", "")
	d, tag := read[PumpDetail](t, got), got.header.Get("ETag")
	if d.Settings.MaxViewers != 300 || fmt.Sprint(d.Settings.Parents) != "[toronto montreal]" || d.Settings.Networks[0].CIDR != "10.4.0.0/16" || tag == "" {
		t.Errorf("%+v, %s", d.Settings, tag)
	}
	d.Settings.MaxViewers = 10
	body := string(mustJSON(d.Settings))
	if r := w.steer(http.MethodPut, "/api/v1/pumps/calgary", body, "If-Match", tag); r.status != http.StatusOK || r.header.Get("ETag") == tag {
		t.Errorf("%d %s", r.status, r.body)
	}
	if p := w.fleet.View().Pump("calgary").Wanted(); p.MaxViewers != 10 || len(p.Parents) != 2 || !p.Enabled {
		t.Errorf("%+v", p)
	}
	for _, tt := range []struct {
		name, method, path, body, match string
		want                            int
		says                            string
	}{
		{"somebody was faster", "PUT", "pumps/calgary", body, tag, 412, "meanwhile"},
		{"no revision of ours", "PUT", "pumps/calgary", body, "abc", 400, "ETag"},
		{"a circle", "PUT", "pumps/ottawa", `{"parents": ["calgary"]}`, "", 422, "calgary"},
		{"a parent that is not there", "PUT", "pumps/ottawa", `{"parents": ["nobody"]}`, "", 422, "nobody"},
		{"no id", "PUT", "pumps/a%20b", `{}`, "", 422, "letters"},
		{"no network", "PUT", "pumps/ottawa/networks", `[{"cidr": "10.0.0.0/8"}, {"cidr": "10.0.0"}]`, "", 422, "networks[1].cidr"},
		{"a negative limit", "PUT", "pumps/ottawa", `{"max_viewers": -1}`, "", 422, "max_viewers"},
		{"a key that is not known", "PUT", "pumps/ottawa", `{"max_veiwers": 1}`, "", 422, "max_veiwers"},
		{"no address", "PUT", "pumps/ottawa", `{"url": "ftp://x"}`, "", 422, "http"},
		{"no JSON", "PUT", "pumps/ottawa", `{`, "", 400, ""},
		{"nobody", "GET", "pumps/nobody", "", "", 404, "nobody"},
		{"drain of nobody", "PUT", "pumps/nobody/draining", `{"draining": true}`, "", 404, "nobody"},
		{"a parent of others", "DELETE", "pumps/toronto", "", "", 422, "toronto"},
		{"a query that is not known", "GET", "viewers?serch=x", "", "", 422, "serch"},
		{"an address that is not known", "GET", "pump", "", "", 404, "openapi"},
	} {
		headers := []string{"If-Match", tt.match}
		if tt.match == "" {
			headers = nil
		}
		if r := w.steer(tt.method, "/api/v1/"+tt.path, tt.body, headers...); r.status != tt.want || !strings.Contains(r.body, tt.says) || !strings.Contains(r.header.Get("Content-Type"), "problem+json") {
			t.Errorf("%s: %d %s", tt.name, r.status, r.body)
		}
	}
	if r := w.steer(http.MethodPut, "/api/v1/pumps/halifax/draining", `{"draining": true}`); !read[PumpDetail](t, r).Draining {
		t.Error(r.body)
	}
	if r := w.steer(http.MethodPut, "/api/v1/pumps/halifax/networks", `[{"cidr": "192.0.2.1", "priority": 3}]`); r.status != http.StatusOK {
		t.Error(r.body)
	}
	list := read[[]NetworkInfo](t, w.steer(http.MethodGet, "/api/v1/networks", ""))
	if len(list) != 7 || !slices.Contains(list, NetworkInfo{"192.0.2.1/32", 3, "halifax"}) {
		t.Errorf("%+v", list)
	}
	if r := w.steer(http.MethodDelete, "/api/v1/pumps/gaspe", ""); r.status != http.StatusNoContent || w.fleet.View().Pump("gaspe") != nil {
		t.Errorf("%d %s", r.status, r.body)
	}
	if !strings.Contains(w.log.String(), "by=anna") {
		t.Error("the log does not say who has done it")
	}
	events := read[[]EventInfo](t, w.steer(http.MethodGet, "/api/v1/events?kind=noted&pump=halifax", ""))
	if len(events) != 2 || events[0].Text != "drained, by anna" {
		t.Errorf("%+v", events)
	}
}

// What cannot be kept is not done, and says so.
func TestAStoreThatCannotBeWritten(t *testing.T) {
	w := newWorld(t, nil)
	w.seven()
	w.desk.broken = fmt.Errorf("%w: the disk is full", ErrUnavailable)
	for path, body := range map[string]string{
		"PUT /pumps/ottawa": `{}`, "PUT /pumps/ottawa/draining": `{"draining": true}`, "PUT /streams/studio": `{"type": "test_card"}`, "POST /tokens": `{"name": "x", "role": "look"}`,
		"PUT /roster": `[{"id": 1}]`, "PUT /pumps/ottawa/key": "", "POST /pumps/ottawa/invite": "",
	} {
		method, at, _ := strings.Cut(path, " ")
		if r := w.steer(method, "/api/v1"+at, body); r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" || !strings.Contains(r.body, "the disk is full") {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
}

func TestStreams(t *testing.T) {
	w := newWorld(t, nil)
	w.seven()
	w.teller().all()
	r := w.steer(http.MethodPut, "/api/v1/streams/new", `{"type": "test_card", "name": "New"}`)
	if d := read[StreamDetail](t, r); d.Path != "new" || d.Revision == 0 || r.header.Get("ETag") != etag(d.Revision) {
		t.Errorf("%+v", d)
	}
	for name, tt := range map[string]struct {
		body string
		want int
	}{"another path": {`{"path": "other", "type": "test_card"}`, 422}, "no object": {`[]`, 400}, "nothing": {`null`, 400}} {
		if r := w.steer(http.MethodPut, "/api/v1/streams/new", tt.body); r.status != tt.want {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	if r := w.steer(http.MethodDelete, "/api/v1/streams/new", "", "If-Match", `"999"`); r.status != 412 {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := w.steer(http.MethodDelete, "/api/v1/streams/new", ""); r.status != http.StatusNoContent {
		t.Errorf("%d %s", r.status, r.body)
	}
	for _, path := range []string{"streams/new", "streams/new/tree"} {
		if r := w.steer(http.MethodGet, "/api/v1/"+path, ""); r.status != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	tree := read[Tree](t, w.steer(http.MethodGet, "/api/v1/streams/STUDIO/tree", ""))
	got := map[string]string{}
	for _, n := range tree.Nodes {
		got[n.Pump] = n.Parent
	}
	delete(got, "ottawa")
	if fmt.Sprint(got) != fmt.Sprint(parents) {
		t.Errorf("%v", got)
	}
}

func TestViewersAndClients(t *testing.T) {
	w := newWorld(t, nil)
	w.seven()
	p := w.teller()
	p.all()
	pump := join(9, "")
	pump.Viewer.Kind = fleet.KindPump
	left := join(4, "gone")
	p.tell("calgary", 3, 0, join(1, "abc"), join(2, "a/b ?&"), join(3, ""), left, pump)
	left.Kind, left.Reason = fleet.KindLeave, "left"
	p.tell("calgary", 3, 0, left)
	p.tell("halifax", 3, 0, join(7, "abc"))
	for query, want := range map[string]string{
		"": "1 2 3 7", "?client=abc": "1 7", "?pump=halifax": "7", "?search=10.4.0.3": "3", "?search=NSPLAYER": "1 2 3 7", "?stream=Studio": "1 2 3 7", "?stream=hall": "",
		"?state=gone": "4", "?state=gone&search=nobody": "", "?pumps=true&pump=calgary": "1 2 3 9", "?health=poor": "",
	} {
		c := read[Crowd](t, w.steer(http.MethodGet, "/api/v1/viewers"+query, ""))
		var got []string
		for _, v := range c.Viewers {
			got = append(got, v.ID)
		}
		slices.Sort(got)
		if strings.Join(got, " ") != want || c.All != len(got) {
			t.Errorf("%q: %v of %d, want %s", query, got, c.All, want)
		}
	}
	if c := read[Crowd](t, w.steer(http.MethodGet, "/api/v1/viewers?limit=1", "")); c.All != 4 || len(c.Viewers) != 1 {
		t.Errorf("%+v", c)
	}
	odd := "/api/v1/clients/" + url.PathEscape("a/b ?&")
	if c := read[ClientInfo](t, w.steer(http.MethodGet, odd, "")); !c.Fresh || c.Viewers[0].ID != "2" || c.Health != "good" {
		t.Errorf("%+v", c)
	}
	if c := read[ClientInfo](t, w.steer(http.MethodGet, "/api/v1/clients/gone", "")); c.Health != "gone" || c.Fresh || c.Viewers[0].Reason != "left" {
		t.Errorf("%+v", c)
	}
	k := read[Kicked](t, w.steer(http.MethodDelete, "/api/v1/clients/abc", ""))
	if done := w.desk.done(); len(k.Viewers) != 2 || !strings.Contains(done, "kick (kicked by anna) calgary [] [abc]") || !strings.Contains(done, "kick (kicked by anna) halifax [] [abc]") {
		t.Errorf("%+v, %s", k, done)
	}
	w.desk.away["halifax"] = ErrUnreachable
	if k := read[Kicked](t, w.steer(http.MethodDelete, "/api/v1/clients/abc", "")); len(k.Viewers) != 1 || fmt.Sprint(k.Unreachable) != "[halifax]" {
		t.Errorf("%+v", k)
	}
	if c := read[ClientInfo](t, w.steer(http.MethodGet, "/api/v1/clients/abc", "")); c.Fresh || len(c.Viewers) != 2 {
		t.Errorf("%+v", c)
	}
	for path, want := range map[string]int{"clients/nobody": 404, "clients/gone": 404, "viewers/calgary/99": 404, "viewers/halifax/7": 503, "viewers/calgary/3": 200} {
		if r := w.steer(http.MethodDelete, "/api/v1/"+path, ""); r.status != want {
			t.Errorf("kick %s: %d %s", path, r.status, r.body)
		}
	}
}

// What is secret is shown once, to who may steer, and never in the log.
func TestKeysInvitesTokensAndCertificates(t *testing.T) {
	w := newWorld(t, nil)
	w.seven()
	w.desk.certs = []Certificate{{Serial: "ab12", Pump: "ottawa", Issued: w.clock(), NotAfter: w.clock().Add(time.Hour)}}
	made := read[Key](t, w.steer(http.MethodPut, "/api/v1/pumps/ottawa/key", ""))
	if len(made.Key) < 20 || w.desk.keys["ottawa"] != made.Key {
		t.Errorf("%+v", made)
	}
	if k := read[Key](t, w.steer(http.MethodPut, "/api/v1/pumps/ottawa/key", `{"key": "chosen by hand"}`)); k.Key != "chosen by hand" {
		t.Errorf("%+v", k)
	}
	if r := w.steer(http.MethodDelete, "/api/v1/pumps/ottawa/key", ""); r.status != http.StatusNoContent || w.desk.keys["ottawa"] != "" {
		t.Errorf("%d %s", r.status, r.body)
	}
	if i := read[Invite](t, w.steer(http.MethodPost, "/api/v1/pumps/ottawa/invite", `{"valid_s": 60}`)); i.Invite != "ph1.ottawa.1m0s" {
		t.Errorf("%+v", i)
	}
	token := read[NewToken](t, w.steer(http.MethodPost, "/api/v1/tokens", `{"name": "x", "role": "look", "valid_s": 60}`))
	if token.Token == "" || token.Expires == nil || !token.Expires.Equal(w.clock().Add(time.Minute)) {
		t.Errorf("%+v", token)
	}
	if list := w.steer(http.MethodGet, "/api/v1/tokens", ""); !strings.Contains(list.body, token.ID) || strings.Contains(list.body, token.Token) {
		t.Error(list.body)
	}
	for path, want := range map[string]int{"tokens/" + token.ID: 204, "tokens/none": 404, "certificates/ab12": 204, "certificates/00": 404} {
		if r := w.steer(http.MethodDelete, "/api/v1/"+path, ""); r.status != want {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	if c := read[[]CertificateInfo](t, w.steer(http.MethodGet, "/api/v1/certificates", "")); len(c) != 1 || c[0].Revoked == nil {
		t.Errorf("%+v", c)
	}
	for body, want := range map[string]int{
		`{"stream": "studio", "client": "abc", "valid_s": 60, "network": "192.0.2.1"}`: 200, `{"stream": "none", "valid_s": 60}`: 404,
		`{"stream": "studio", "client": "nokeys", "valid_s": 60}`: 409, `{"stream": "studio", "valid_s": 60, "network": "x"}`: 422, `{"stream": "studio"}`: 422,
	} {
		if r := w.steer(http.MethodPost, "/api/v1/sign", body); r.status != want || want == 200 && !strings.Contains(r.body, "192.0.2.1/32") {
			t.Errorf("%s: %d %s", body, r.status, r.body)
		}
	}
	for _, secret := range []string{made.Key, "chosen by hand", token.Token, "ph1.ottawa", "anna's password"} {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("the log has %s", secret)
		}
	}
	if r := w.do(w.newClient(), http.MethodPost, "/api/v1/session", `{"name": "anna", "password": 12345678}`); r.status != 422 || strings.Contains(r.body, "12345678") {
		t.Errorf("what was sent comes back: %d %s", r.status, r.body)
	}
}

func TestTheRosterAsAFile(t *testing.T) {
	w := newWorld(t, nil)
	w.seven()
	file := w.steer(http.MethodGet, "/api/v1/roster", "")
	if r := w.steer(http.MethodPut, "/api/v1/roster", file.body); r.status != http.StatusNoContent {
		t.Errorf("%d %s", r.status, r.body)
	}
	r := w.steer(http.MethodPut, "/api/v1/roster", "[\n  {\"id\": \"a\", \"parent_id\": \"b\"},\n  {\"id\": \"a b\"}\n]")
	if r.status != 422 || !strings.Contains(r.body, `"location":"3:`) || len(w.fleet.View().Pumps) != 7 {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := w.steer(http.MethodPut, "/api/v1/roster", `[{"id": 7}] // as in 2011`); r.status != http.StatusNoContent || len(w.fleet.View().Pumps) != 1 {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// The line to the page begins with everything, goes on with what changes, and ends with the
// session.
func TestFollowing(t *testing.T) {
	w := newWorld(t, nil)
	w.seven()
	p := w.teller()
	p.all()
	w.logIn(w.client, "ben")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+"/api/v1/live?viewers=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatal(got)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	next := func(kind string, fits func(data string) bool) {
		t.Helper()
		event := ""
		for lines.Scan() {
			if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				event = name
			}
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && event == kind && fits(data) {
				return
			}
		}
		t.Fatalf("no such %s: %v", kind, lines.Err())
	}
	has := func(s string) func(string) bool { return func(data string) bool { return strings.Contains(data, s) } }
	next("fleet", func(d string) bool { return strings.Count(d, `"id":`) == 7 && strings.Contains(d, `"history"`) })
	p.tell("calgary", 1, 0, join(1, "abc"))
	next("happening", has(`"viewer_joined"`))
	next("figures", func(d string) bool { return strings.Contains(d, `"calgary"`) && !strings.Contains(d, `"id":"ottawa"`) })
	next("figures", has(`"pumps":[]`))
	w.steer(http.MethodPut, "/api/v1/pumps/halifax/draining", `{"draining": true}`, "Authorization", basic("anna", "anna's password"))
	next("fleet", has(`"draining":true`))
	w.setUsers()
	for lines.Scan() { // until it ends, at the latest when the client's time is over
	}
	if err := lines.Err(); err != nil {
		t.Errorf("it did not end with the session: %v", err)
	}
}

func TestMetrics(t *testing.T) {
	var allowed access.Networks
	w := newWorld(t, func(o *Options) { o.Scrapers = func() access.Networks { return allowed } })
	w.seven()
	p := w.teller()
	p.all()
	p.tell("calgary", 214, 0, join(1, "abc"))
	if r := w.do(w.newClient(), http.MethodGet, "/metrics", ""); r.status != http.StatusUnauthorized {
		t.Errorf("%d", r.status)
	}
	if r := w.do(w.newClient(), http.MethodGet, "/metrics", "", "Authorization", basic("ben", "ben's password")); r.status != http.StatusOK {
		t.Errorf("%d", r.status)
	}
	allowed = access.NewNetworks(netip.MustParsePrefix("127.0.0.0/8"))
	r := w.do(w.newClient(), http.MethodGet, "/metrics", "")
	for _, want := range []string{
		"# HELP pump_house_fleet_viewers Viewers of the fleet", "# TYPE pump_house_fleet_viewers gauge", "pump_house_fleet_viewers 656", "pump_house_fleet_pumps_up 7",
		`pump_house_pump_viewers{pump="calgary"} 214`, `pump_house_pump_up{pump="halifax"} 1`, `pump_house_pump_full{pump="halifax"} 1`, `pump_house_stream_viewers{stream="studio"} 656`,
		`pump_house_logins_total{result="right"} 1`, `pump_house_info{version="1.2.3",house="house-1"} 1`, "go_goroutines",
	} {
		if !strings.Contains(r.body, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(r.body, "abc") || strings.Contains(r.body, "10.4.0.1") {
		t.Error("viewers have labels")
	}
	families := map[string]bool{}
	for line := range strings.Lines(r.body) {
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			if families[name] {
				t.Errorf("twice: %s", name)
			}
			families[name] = true
		}
	}
}

// The page's files come from the house alone, and may use nothing else.
func TestThePagesFiles(t *testing.T) {
	w := newWorld(t, nil)
	for path, kind := range map[string]string{"/": "text/html", "/static/app.js": "text/javascript", "/static/style.css": "text/css", "/static/icon.svg": "image/svg+xml"} {
		r := w.do(w.newClient(), http.MethodGet, path, "")
		if r.status != http.StatusOK || !strings.HasPrefix(r.header.Get("Content-Type"), kind) || r.header.Get("Content-Security-Policy") != policy || r.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", path, r.status, r.header)
		}
		if strings.Contains(strings.ReplaceAll(r.body, "http://www.w3.org/", ""), "://") && !strings.Contains(r.body, "http://192.0.2.1") {
			t.Errorf("%s names something elsewhere", path)
		}
		if r := w.do(w.newClient(), http.MethodGet, path, "", "If-None-Match", r.header.Get("ETag")); r.status != http.StatusNotModified {
			t.Errorf("%s again: %d", path, r.status)
		}
	}
	for path, want := range map[string]int{"/static/": 404, "/static/index.html": 404, "/static/..%2fpage.go": 404, "/index.html": 404, "/x": 404} {
		if r := w.do(w.newClient(), http.MethodGet, path, ""); r.status != want {
			t.Errorf("%s: %d", path, r.status)
		}
	}
	if r := w.do(w.newClient(), http.MethodPost, "/", "x"); r.status != http.StatusMethodNotAllowed {
		t.Errorf("%d", r.status)
	}
}

// A mistake in the program ends one request.
func TestAPanicEndsOneRequest(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Users = func() []User { panic("a mistake") } })
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+"/api/v1/fleet", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("anna", "x")
	if resp, err := w.client.Do(req); err == nil {
		_ = resp.Body.Close()
		t.Errorf("%d", resp.StatusCode)
	}
	if r := w.do(w.newClient(), http.MethodGet, "/", ""); r.status != http.StatusOK || !strings.Contains(w.log.String(), "a mistake") {
		t.Errorf("%d %s", r.status, w.log)
	}
}

func TestErrorsOfSteering(t *testing.T) {
	for want, err := range map[int]error{
		404: fmt.Errorf("pump x: %w", ErrNotFound), 412: ErrChanged, 503: fmt.Errorf("%w: no leader", ErrUnavailable), 409: ErrNoKeys, 422: errors.New("something else"),
	} {
		var e interface{ GetStatus() int }
		if got := fault(err); !errors.As(got, &e) || e.GetStatus() != want {
			t.Errorf("%v: %v", err, got)
		}
	}
	if fault(nil) != nil {
		t.Error("nothing is an error")
	}
}

// Of the viewers of a pump that is not heard nobody knows how they fare; after half a minute
// they have left, for the list as for who asks by id.
func TestViewersOfAPumpThatIsNotHeard(t *testing.T) {
	w := newWorld(t, nil)
	w.seven()
	p := w.teller()
	p.all()
	p.tell("calgary", 2, 0, join(1, "abc"), join(2, "def"))
	w.later(4 * time.Second)
	w.fleet.Sweep(false)
	crowd := func(query string) Crowd { return read[Crowd](t, w.steer(http.MethodGet, "/api/v1/viewers"+query, "")) }
	if c := crowd("?health=unknown"); c.All != 2 || c.Viewers[0].Health != "unknown" {
		t.Errorf("%+v", c)
	}
	if c := crowd("?health=good"); c.All != 0 {
		t.Errorf("%+v", c)
	}
	if c := read[ClientInfo](t, w.steer(http.MethodGet, "/api/v1/clients/abc", "")); c.Health != "unknown" {
		t.Errorf("%+v", c)
	}
	w.later(31 * time.Second)
	w.fleet.Sweep(false)
	if c := crowd(""); c.All != 0 {
		t.Errorf("%+v", c)
	}
	if c := crowd("?state=gone"); c.All != 2 || c.Viewers[0].Health != "gone" || c.Viewers[0].Left == nil {
		t.Errorf("%+v", c)
	}
	if c := read[ClientInfo](t, w.steer(http.MethodGet, "/api/v1/clients/abc", "")); c.Health != "gone" {
		t.Errorf("%+v", c)
	}
	if o := read[Overview](t, w.steer(http.MethodGet, "/api/v1/fleet", "")); o.Totals.KnownByID != 0 || o.Totals.Viewers != 0 {
		t.Errorf("%+v", o.Totals)
	}
}
