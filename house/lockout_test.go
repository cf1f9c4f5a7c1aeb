package house

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The password of each is his name and "'s password".
const (
	annaHash = "$2a$04$bIUrSspRdzQ3p.HnYCuu7.xZGJjPryE10JOHGiXK3wJuwt2Oku71."
	benHash  = "$2a$04$hN8FMfWEp4YtjFNRUTj0Wu.gIh6rRgO0mZIGnMS4EzrGQ0./eT7Qy"
)

// asked sends a request to the API of a house.
func asked(t *testing.T, h *House, method, path, body string, set func(*http.Request)) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t), method, "https://"+h.TLSAddr().String()+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if set != nil {
		set(req)
	}
	resp, err := client(t, h).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// logIn returns what adds the session's cookie to a request.
func logIn(t *testing.T, h *House, name string) func(*http.Request) {
	t.Helper()
	resp := asked(t, h, http.MethodPost, "/session", `{"name": "`+name+`", "password": "`+name+`'s password"}`, nil)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("logging in: %d", resp.StatusCode)
	}
	cookies := resp.Cookies()
	return func(r *http.Request) {
		for _, c := range cookies {
			r.AddCookie(c)
		}
	}
}

// lockedOut lets somebody in, and sees to it that what ends that at one house ends it at all.
func lockedOut(t *testing.T, houses []*House, dir string) {
	status := func(h *House, set func(*http.Request)) int {
		return asked(t, h, http.MethodGet, "/session", "", set).StatusCode
	}
	everywhere := func(what string, set func(*http.Request), want int) {
		t.Helper()
		for _, h := range houses {
			becomes(t, what+" at "+h.Name(), func() bool { return status(h, set) == want })
		}
	}
	annas, bens := logIn(t, houses[0], "anna"), logIn(t, houses[1], "ben")
	everywhere("the session is good", annas, http.StatusOK)
	everywhere("the session is good", bens, http.StatusOK)
	if resp := asked(t, houses[0], http.MethodDelete, "/session", "", annas); resp.StatusCode != http.StatusNoContent {
		t.Fatalf("logging out: %d", resp.StatusCode)
	}
	everywhere("the log-out holds", annas, http.StatusUnauthorized)
	everywhere("another session is good", bens, http.StatusOK)

	annas = logIn(t, houses[2], "anna")
	resp := asked(t, houses[2], http.MethodPost, "/tokens", `{"name": "script", "role": "look"}`, annas)
	var token struct{ ID, Token string }
	if err := json.NewDecoder(resp.Body).Decode(&token); err != nil || token.Token == "" {
		t.Fatalf("%d %v", resp.StatusCode, err)
	}
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token.Token) }
	everywhere("the token is good", bearer, http.StatusOK)
	if resp := asked(t, houses[1], http.MethodDelete, "/tokens/"+token.ID, "", annas); resp.StatusCode != http.StatusNoContent {
		t.Fatalf("taking a token back: %d", resp.StatusCode)
	}
	everywhere("it is taken back", bearer, http.StatusUnauthorized)

	becomes(t, "the houses know each other's users", func() bool { return houses[0].Registry().State().HasUsers(houses[0].Name()) })
	file := filepath.Join(dir, "house-0.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, regexp.MustCompile(`(?m)^.*name: ben.*\n`).ReplaceAll(bytes.Clone(text), nil), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := houses[0].Reload(within(t)); err != nil {
		t.Fatal(err)
	}
	everywhere("ben is gone", bens, http.StatusUnauthorized)
	for _, h := range houses {
		if resp := asked(t, h, http.MethodPost, "/session", `{"name": "ben", "password": "ben's password"}`, nil); resp.StatusCode == http.StatusOK {
			t.Errorf("%s lets him in anew", h.Name())
		}
	}
	everywhere("anna is there still", annas, http.StatusOK)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := houses[0].Reload(within(t)); err != nil {
		t.Fatal(err)
	}
	everywhere("ben is back", bens, http.StatusOK)
}
