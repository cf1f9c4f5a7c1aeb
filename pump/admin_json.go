package pump

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// APIError is every answer of the API that is not what was asked for.
type APIError struct {
	Code     string        `json:"code"` // for programs, never changes
	Text     string        `json:"text"` // for people
	Problems []ProblemInfo `json:"problems,omitempty"`
	Refused  []string      `json:"refused,omitempty"` // keys that need a restart
}

// operation is one method of an address of the API.
type operation struct {
	handle  http.HandlerFunc
	summary string
	query   []parameter
	body    string // what is sent along, for people; empty: nothing
	status  int    // of success
	answer  any    // a value of the type that is answered, nil for nothing
	errors  map[int]string
}

type parameter struct{ name, text string }

// methods are what an address can do.
type methods map[string]operation

// serve answers what is there; GET answers HEAD too.
func (m methods) serve(w http.ResponseWriter, r *http.Request) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if op, ok := m[method]; ok {
		op.handle(w, r)
		return
	}
	w.Header().Set("Allow", m.allow())
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	writeError(w, http.StatusMethodNotAllowed, "method_not_allowed", "allowed here: "+m.allow())
}

func (m methods) allow() string {
	list := []string{http.MethodOptions}
	for name := range m {
		list = append(list, name)
		if name == http.MethodGet {
			list = append(list, http.MethodHead)
		}
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil { // no type of the API can be the cause; say so rather than send half
		http.Error(w, "encoding the answer: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

func writeError(w http.ResponseWriter, status int, code, text string) {
	writeJSON(w, status, APIError{Code: code, Text: text})
}
