package server

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/stream"
)

const (
	asxType = "video/x-ms-asf" // what Windows Media Player and VLC take for a metafile
	asfType = "video/x-ms-asf"
)

// web answers a GET or HEAD that is not MMSH: a metafile for people's programs that
// show pages, else plain ASF.
func (s *Server) web(r *request, st *stream.Stream) answer {
	if !wantsPage(r.Header) {
		return s.gated(r, st, KindASF, s.plain)
	}
	return s.gated(r, st, KindPage, func(r *request, st *stream.Stream) answer {
		if _, refusal := s.onAir(r, st); refusal != nil {
			return *refusal
		}
		return s.asx(r, st)
	})
}

// wantsPage tells browsers, and Windows Media Player's own web client, from players
// that expect media.
func wantsPage(h http.Header) bool {
	agent := h.Get("User-Agent")
	return strings.HasPrefix(agent, "Mozilla/") || strings.HasPrefix(agent, "Windows-Media-Player/") ||
		strings.Contains(h.Get("Accept"), "text/html")
}

// asx answers with a metafile that names the stream for Windows Media Player and VLC.
func (s *Server) asx(r *request, st *stream.Stream) answer {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return s.notAllowed(r, "GET, HEAD", "only GET and HEAD")
	}
	host := safeHost(r.Host)
	if host == "" {
		return s.refuse(http.StatusBadRequest, "the Host header is missing or no host name", false)
	}
	path, query := host+streamsPrefix+st.Path(), ownQuery(r.URL)
	refs := []string{"https://" + path + "?" + query + windowsQuery}
	if !r.tls { // mms:// knows no TLS, and this port nothing else
		mmsQuery := ""
		if query != "" {
			mmsQuery = "?" + strings.TrimSuffix(query, "&")
		}
		refs = []string{"http://" + path + "?" + query + windowsQuery, "mms://" + path + mmsQuery}
	}
	body := mmsh.AppendASX(nil, st.Name(), refs...)
	return answer{status: http.StatusOK, head: page(r, asxType, body)}
}

// windowsQuery tells Windows players to take an address for a stream.
const windowsQuery = "MSWMExt=.asf"

// ownQuery returns the query of an address, written anew, with an ampersand at its end,
// or "": it says who the viewer is, and goes along to where the metafile sends him.
func ownQuery(u *url.URL) string {
	q := u.Query()
	q.Del("MSWMExt")
	if len(q) == 0 {
		return ""
	}
	return q.Encode() + "&"
}

// page is a whole reply with a body.
func page(r *request, contentType string, body []byte) []byte {
	head := fmt.Appendf(nil, "HTTP/1.0 200 OK\r\nServer: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n"+
		"Cache-Control: no-cache\r\nConnection: close\r\n\r\n", mmsh.ServerViewer, contentType, len(body))
	if r.Method == http.MethodHead {
		return head
	}
	return append(head, body...)
}

// plain answers with the stream as plain ASF, on a goroutine of its own.
func (s *Server) plain(r *request, st *stream.Stream) answer {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return s.notAllowed(r, "GET, HEAD", "only GET and HEAD")
	}
	if _, refusal := s.onAir(r, st); refusal != nil {
		return *refusal
	}
	head := fmt.Appendf(nil, "HTTP/1.0 200 OK\r\nServer: %s\r\nContent-Type: %s\r\n"+
		"Cache-Control: no-cache\r\nConnection: close\r\n\r\n", mmsh.ServerViewer, asfType)
	if r.Method == http.MethodHead {
		return answer{status: http.StatusOK, head: head}
	}
	t, err := s.newSeat(r, st)
	if err != nil {
		return s.overLimit(r, err)
	}
	t.plain = true
	if refusal := s.begin(r, t); refusal != nil {
		return *refusal
	}
	return answer{status: http.StatusOK, head: head, watch: t}
}

// safeHost returns a Host header that may be put into a page: a name or address with
// an optional port; "" for anything else.
func safeHost(host string) string {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port, _ = net.SplitHostPort(host + ":") // no port
	}
	if port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return ""
		}
	}
	if strings.HasPrefix(host, "[") {
		if net.ParseIP(name) == nil {
			return ""
		}
		return host
	}
	if name == "" || len(name) > 253 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") != "" {
		return ""
	}
	return host
}
