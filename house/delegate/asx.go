package delegate

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/stream-pump/stream-pump/mmsh"
)

// maxListed is how many pumps a list names.
const maxListed = 4

// list answers with an ASX metafile: the chosen pump first, then the next best ones, which players try in turn.
func (d *Delegator) list(w http.ResponseWriter, r *http.Request, x *index, t target) {
	q := d.queryOf(r, x, t.stream, ask)
	first, why := d.choose(x, q)
	if first == nil {
		d.none(w, r, why)
		return
	}
	d.counts.lists.Add(1)
	q.step = look
	pumps := []*slot{first}
	for len(pumps) < maxListed {
		s, _ := x.best(q, pumps)
		if s == nil {
			break
		}
		pumps = append(pumps, s)
	}
	var urls []string
	for _, s := range pumps {
		urls = append(urls, addresses(s.pump.URL(), streamsPrefix+x.paths[t.stream], r.URL)...)
	}
	body := mmsh.AppendASX(nil, x.names[t.stream], urls...)
	h := w.Header()
	h["Content-Type"] = []string{mmsh.TypePlaylist}
	h["Cache-Control"] = noStore
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // whoever is gone needs no list
	}
}

// addresses are the forms of a stream's address at one pump, in the order in which players should try them. The
// query goes along: it says who the viewer is.
func addresses(base, path string, u *url.URL) []string {
	own := u.Query()
	own.Del("MSWMExt")
	query := ""
	if len(own) > 0 {
		query = own.Encode()
	}
	list := []string{base + path + "?" + strings.TrimPrefix(query+"&"+mmsh.MSWMExt, "&")}
	if host, ok := strings.CutPrefix(base, "http://"); ok {
		if query != "" {
			query = "?" + query
		}
		list = append(list, "mms://"+host+path+query)
	}
	return list
}
