package pump

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// press sends a form of the page, as a browser does that shows it.
func (w *world) press(action string, form url.Values, header ...string) answer {
	w.Helper()
	origin := "http://" + w.AdminAddr().String()
	return w.askWith(origin+action, "POST", form.Encode(), append([]string{"Content-Type: application/x-www-form-urlencoded", "Origin: " + origin}, header...)...)
}

func (w *world) viewerIDs() (ids []string) {
	w.Helper()
	var viewers []ViewerInfo
	w.ask("GET", "/api/v1/viewers").decode(w, &viewers)
	for _, v := range viewers {
		ids = append(ids, v.ID)
	}
	return ids
}

func TestPageCutsOff(t *testing.T) {
	w := newWorld(t, card)
	w.awaitLive("card")
	goes := w.play("card")
	goes.packets(1)
	stays := w.play("card")
	stays.packets(1)
	id := w.viewerIDs()[0]
	if button := fmt.Sprintf(`<input type="hidden" name="viewer" value="%s"><button aria-label="Cut off viewer %s">`, id, id); !strings.Contains(string(w.ask("GET", "/").body), button) {
		t.Errorf("the page has no %s", button)
	}
	for name, header := range map[string]string{"another site": "Sec-Fetch-Site: cross-site", "another origin": "Origin: http://evil.example", "an origin that is not told": "Origin: null"} {
		if a := w.press("/page/kick", url.Values{"viewer": {id}}, header); a.status != http.StatusForbidden {
			t.Errorf("%s: %d", name, a.status)
		}
	}
	if a := w.ask("GET", "/page/kick?viewer="+id); a.status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", a.status)
	}
	goes.packets(1)
	a := w.press("/page/kick", url.Values{"viewer": {id}})
	if a.status != http.StatusOK || !strings.Contains(string(a.body), "Viewer "+id+" is cut off.") || a.header.Get("Referrer-Policy") != "same-origin" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	goes.broken()
	stays.packets(10)
	for _, id := range []string{id, "", "<b>x</b>"} {
		if a := w.press("/page/kick", url.Values{"viewer": {id}}); a.status != http.StatusNotFound || strings.Contains(string(a.body), "<b>") {
			t.Errorf("viewer %q: %d %s", id, a.status, a.body)
		}
	}
}

func TestPageReloads(t *testing.T) {
	w := newWorld(t, card)
	w.awaitLive("card")
	v := w.play("card")
	v.packets(1)
	for _, c := range []struct {
		name, file string
		status     int
		want       []string
	}{
		{"nothing has changed", card, 200, []string{"0 changes", `class="good"`}},
		{"a limit", "limits: {viewers: 7}\n" + card, 200, []string{"1 changes, 0 viewers disturbed", "limits.viewers: 0 → 7 (applied)", "<td>viewers</td>"}},
		{"two mistakes", "limits: {viewers: -1}\nhold: soon\n" + card, 422, []string{"nothing was changed", "pump.yaml:3:", "pump.yaml:4:", `class="bad"`}},
		{"what needs a restart", "egress: writev\nlimits: {viewers: 9}\n" + card, 409, []string{"nothing was changed", "egress: auto → writev (needs a restart)"}},
		{"markup", "limits: {<b>x</b>: 1}\n" + card, 422, []string{"&lt;b&gt;"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.rewrite(c.file)
			a := w.press("/page/reload", nil)
			for _, want := range c.want {
				if a.status != c.status || !strings.Contains(string(a.body), want) {
					t.Errorf("%d, want %d and %q in %s", a.status, c.status, want, a.body)
				}
			}
		})
	}
	if a := w.press("/page/reload", nil, "Sec-Fetch-Site: cross-site"); a.status != http.StatusForbidden {
		t.Errorf("another site: %d", a.status)
	}
	if got := w.limits.Bounds().Viewers; got != 7 {
		t.Errorf("%d viewers may come, want 7 of the last configuration that was right", got)
	}
	v.packets(10)
}

// What may come in, what is full, and whom it kept out.
func TestPageShowsAdmission(t *testing.T) {
	w := newWorld(t, card)
	w.awaitLive("card")
	shows := func(wants ...string) {
		t.Helper()
		page := string(w.ask("GET", "/").body)
		for _, want := range wants {
			if !strings.Contains(page, want) {
				t.Errorf("no %q in %s", want, page)
			}
		}
	}
	shows("New viewers are taken, within these limits.", "<td>pumps</td>")
	w.reload("uplink: auto\nlimits: {viewers: 1}\nstreams: [{path: card, type: test_card, name: Card, limits: {viewers: 5}}]\n")
	w.play("card").packets(1)
	if v := w.play("card"); v.status != 453 {
		t.Fatalf("%d", v.status)
	}
	shows(`<td>viewers</td><td>the pump</td><td class="n full">1 (full)</td><td class="n">1</td><td class="n">1</td>`,
		`<td>stream_viewers</td><td>stream card</td><td class="n">1</td>`, "What the uplink carries is not known yet")
	var info LimitsInfo
	w.ask("GET", "/api/v1/limits").decode(t, &info)
	if u := info.Uplink; u.Mode != "auto" || u.CarriesBPS != 0 || u.BudgetBPS != 0 || u.UsedBPS == 0 {
		t.Errorf("%+v", u)
	}
	w.reload("uplink: 100M\n" + card)
	shows("The uplink carries 100.00 Mbit/s, as configured.")
	w.ask("GET", "/api/v1/limits").decode(t, &info)
	if u := info.Uplink; u.Mode != "set" || u.CarriesBPS != 100e6 || u.BudgetBPS != 95e6 {
		t.Errorf("%+v", u)
	}
	w.reload(card)
	w.ask("GET", "/api/v1/limits").decode(t, &info)
	if u := info.Uplink; u.Mode != "open" || u.CarriesBPS != 0 || u.BudgetBPS != 0 {
		t.Errorf("%+v", u)
	}
}
