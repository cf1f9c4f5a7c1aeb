package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed static
var static embed.FS

// page is the page's files. What is shown on it comes from the API, so the files hold nothing
// secret and are served to everybody.
type page struct{ files map[string]file }

type file struct {
	content []byte
	kind    string
	tag     string
}

// kinds of files, whatever the system's own table says.
var kinds = map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".html": "text/html; charset=utf-8", ".svg": "image/svg+xml"}

func newPage() *page {
	p := &page{files: map[string]file{}}
	entries, err := fs.ReadDir(static, "static")
	if err != nil { // it is in the program
		panic("web: the page is missing: " + err.Error())
	}
	for _, e := range entries {
		content, err := static.ReadFile("static/" + e.Name())
		if err != nil {
			panic("web: the page is missing: " + err.Error())
		}
		sum := sha256.Sum256(content)
		kind := kinds[path.Ext(e.Name())]
		if kind == "" {
			kind = mime.TypeByExtension(path.Ext(e.Name()))
		}
		p.files[e.Name()] = file{content, kind, `"` + hex.EncodeToString(sum[:8]) + `"`}
	}
	return p
}

// policy lets the page use its own files, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// shell serves the page's files. A browser that comes without TLS is sent where there is
// some.
func (s *site) shell(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		problem(w, http.StatusMethodNotAllowed, "the page is only read")
		return
	}
	if !s.opts.Secure(r) {
		if to := s.opts.Page(r); to != "" && r.URL.Path == "/" {
			http.Redirect(w, r, to, http.StatusTemporaryRedirect) // #nosec G710 -- as configured, or a name of the certificate
			return
		}
		problem(w, http.StatusForbidden, errPlain.text)
		return
	}
	name := "index.html"
	if r.URL.Path != "/" {
		name = strings.TrimPrefix(r.URL.Path, "/static/")
	}
	f, ok := s.page.files[name]
	if !ok || r.URL.Path == "/static/index.html" {
		problem(w, http.StatusNotFound, "there is nothing here; the page is at /")
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Type", f.kind)
	h.Set("ETag", f.tag)
	if r.Header.Get("If-None-Match") == f.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(f.content)
}
