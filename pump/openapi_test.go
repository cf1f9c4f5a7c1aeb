package pump

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// Every address and method of the description answers, and what is answered has exactly
// the fields that are described.
func TestOpenAPI(t *testing.T) {
	w := newWorld(t, card)
	w.awaitLive("card")
	v := w.play("card")
	v.packets(1)
	var d struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			Responses map[string]struct {
				Content map[string]struct{ Schema json.RawMessage }
			}
		}
		Components struct {
			Schemas map[string]struct {
				Properties map[string]any
				Required   []string
			}
		}
	}
	a := w.ask("GET", "/api/v1/openapi.json")
	a.decode(t, &d)
	if !strings.HasPrefix(d.OpenAPI, "3.") {
		t.Errorf("version %q", d.OpenAPI)
	}
	for _, path := range []string{"/api/v1/streams", "/api/v1/streams/{path}", "/api/v1/viewers", "/api/v1/viewers/{id}", "/api/v1/limits", "/api/v1/reload", "/api/v1/diff", "/api/v1/openapi.json"} {
		if d.Paths[path] == nil {
			t.Errorf("%s is not described", path)
		}
	}
	for path, methods := range d.Paths {
		for method := range methods {
			at := strings.NewReplacer("{path}", "card", "{id}", "999").Replace(path)
			if a := w.ask(strings.ToUpper(method), at); a.status == http.StatusMethodNotAllowed || strings.Contains(string(a.body), "no_such_address") {
				t.Errorf("%s %s: %d %s", method, path, a.status, a.body)
			}
		}
	}
	var streams, viewers []map[string]any
	w.ask("GET", "/api/v1/streams").decode(t, &streams)
	w.ask("GET", "/api/v1/viewers").decode(t, &viewers)
	var reload map[string]any
	w.ask("POST", "/api/v1/reload").decode(t, &reload)
	var limits map[string]any
	w.ask("GET", "/api/v1/limits").decode(t, &limits)
	limit := limits["limits"].([]any)[0].(map[string]any)
	ofStream := limits["streams"].([]any)[0].(map[string]any)
	for name, object := range map[string]map[string]any{"LimitsInfo": limits, "LimitInfo": limit, "StreamLimitsInfo": ofStream, "StreamInfo": streams[0], "ViewerInfo": viewers[0], "ReloadInfo": reload} {
		schema := d.Components.Schemas[name]
		for f := range object {
			if schema.Properties[f] == nil {
				t.Errorf("%s: field %s is not described", name, f)
			}
		}
		for _, f := range schema.Required {
			if _, ok := object[f]; !ok {
				t.Errorf("%s: field %s is described and not there", name, f)
			}
		}
	}
}
