package pump

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"time"
)

//go:embed page.html
var pageSource string

//go:embed page.css
var pageStyle string

// maxPageViewers is how many viewers the page shows; the API has them all.
const maxPageViewers = 200

// renewEvery is how often the page renews itself, in seconds.
const renewEvery = 5

var (
	pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
		"bytes": humanBytes, "rate": humanRate, "since": humanSeconds,
	}).Parse(pageSource))

	// pagePolicy allows the one style sheet that is in the page, and its buttons, and nothing else.
	pagePolicy = "default-src 'none'; style-src 'sha256-" + styleHash() + "'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

func styleHash() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// page is what the template sees.
type page struct {
	Style    template.CSS
	Version  string
	Now      string
	UptimeS  float64
	Draining bool
	Public   string
	Streams  []StreamInfo
	Limits   []limitRow
	Uplink   string
	Notice   *notice // nil: nothing was asked for
	RenewS   int     // seconds until the page renews itself
	Viewers  []ViewerInfo
	More     int // viewers not shown
	Total    int
}

func (a *admin) home(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" {
		writeError(w, http.StatusNotFound, "no_such_address", "nothing is here; the status page is at /")
		return
	}
	a.reading(a.statusPage)(w, r)
}

func (a *admin) statusPage(w http.ResponseWriter, r *http.Request) {
	a.writePage(w, r, http.StatusOK, nil)
}

// writePage answers with the page, and with what became of a button.
func (a *admin) writePage(w http.ResponseWriter, r *http.Request, status int, n *notice) {
	p, limits := a.pump, a.pump.describeLimits()
	d := page{
		Style:   template.CSS(pageStyle), // #nosec G203 -- our own
		Version: p.opts.Version, Now: time.Now().Format(time.RFC3339),
		UptimeS: seconds(time.Since(p.started)), Draining: p.draining.Load(), Public: p.Addr().String(), Streams: p.Streams(),
		Limits: limitRows(limits), Uplink: uplinkText(limits.Uplink), Notice: n, RenewS: renewEvery,
	}
	if n != nil {
		d.RenewS = noticeStays
	}
	all := p.server.Viewers(r.Context())
	d.Total = len(all)
	for _, v := range all[:min(len(all), maxPageViewers)] {
		d.Viewers = append(d.Viewers, describeViewer(v))
	}
	d.More = d.Total - len(d.Viewers)
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, d); err != nil {
		writeError(w, http.StatusInternalServerError, "page", err.Error())
		return
	}
	w.Header().Set("Content-Security-Policy", pagePolicy)
	w.Header().Set("Referrer-Policy", "same-origin") // with none, a browser does not say that a button was on our own page
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w)
}

func humanBytes(n uint64) string {
	units := []string{"B", "kB", "MB", "GB", "TB", "PB"}
	v, i := float64(n), 0
	for v >= 1000 && i < len(units)-1 {
		v, i = v/1000, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}

func humanRate(bps int64) string {
	switch {
	case bps >= 1_000_000:
		return fmt.Sprintf("%.2f Mbit/s", float64(bps)/1e6)
	case bps > 0:
		return fmt.Sprintf("%.0f kbit/s", float64(bps)/1e3)
	}
	return "–"
}

func humanSeconds(s float64) string {
	if s <= 0 {
		return "–"
	}
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}
