package web

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// screenshots is where pictures of the page are kept; CI keeps the folder.
const screenshots = "../../test-out/screenshots"

func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("Chromium is missing: scripts/install-test-deps installs it")
	}
	t.Skip("no Chromium; scripts/install-test-deps installs it")
	return ""
}

// browser is a real browser, and what it complained about.
type browser struct {
	w   *world
	ctx context.Context

	mu     sync.Mutex
	faults []string
}

func newBrowser(w *world) *browser {
	w.t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium(w.t)), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(w.t.TempDir()), chromedp.Flag("disable-quic", true), chromedp.Flag("ignore-certificate-errors", true), chromedp.WindowSize(1280, 900))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	w.t.Cleanup(stop)
	ctx, leave := chromedp.NewContext(allocator)
	w.t.Cleanup(func() {
		ending, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		_ = chromedp.Cancel(ending) // waits until the browser has ended
		leave()
	})
	b := &browser{w: w, ctx: ctx}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		w.t.Fatal(err)
	}
	b.run("starting", command(network.Enable, network.EnableParams{}), command(cdplog.Enable, cdp.Empty{}),
		command(emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}), chromedp.EmulateViewport(1280, 900))
	return b
}

// command is one of the browser's own, whose answer does not matter.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

// script is done in the page.
func script(text string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := chromedp.Evaluate[bool]("(() => { "+text+"; return true; })()")(ctx, t)
		return err
	})
}

// hear collects mistakes of the page, and requests to anywhere else.
func (b *browser) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.faults = append(b.faults, fmt.Sprintf("an exception: %+v", e.ExceptionDetails))
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == "error" && !strings.Contains(e.Entry.URL, "/api/v1/session") && !strings.Contains(e.Entry.Text, "422") { // wrong passwords and rosters are told there
			b.faults = append(b.faults, "a complaint: "+e.Entry.Text+" "+e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, b.w.server.URL) {
			b.faults = append(b.faults, "a request to "+e.Request.URL)
		}
	}
}

func (b *browser) run(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.w.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 90*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.fail(what, err)
	}
}

func (b *browser) fail(what string, err error) {
	b.w.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
	b.w.t.Fatalf("%s: %v\nthe page: %s\nfaults: %v", what, err, text, b.faults)
}

// until waits for an expression to be true.
func (b *browser) until(what, expression string) {
	b.w.t.Helper()
	if _, err := chromedp.Run(b.ctx, chromedp.Poll[bool]("Boolean("+expression+")", chromedp.WithPollingTimeout(time.Minute), chromedp.WithPollingInterval(50*time.Millisecond))); err != nil {
		b.fail(what, err)
	}
}

func (b *browser) eval(expression string) string {
	b.w.t.Helper()
	s, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("String("+expression+")"))
	if err != nil {
		b.fail(expression, err)
	}
	return s
}

func (b *browser) picture(name string) {
	b.w.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.fail("a picture", err)
	}
	if err := os.MkdirAll(screenshots, 0o755); err != nil {
		b.w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(screenshots, name+".png"), png, 0o644); err != nil {
		b.w.t.Fatal(err)
	}
}

func (b *browser) scheme(name string) {
	b.run("the colours", command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"}},
	}))
}

// logIn fills in the form, as anna, with the keyboard alone.
func (b *browser) logIn() {
	b.w.t.Helper()
	b.run("opening the page", chromedp.Navigate(b.w.server.URL+"/"))
	b.until("the log-in", "document.querySelector('form.login input:focus')")
	b.run("a wrong password", chromedp.KeyEvent("anna\tsesame"+kb.Enter))
	b.until("the refusal", "document.querySelector('.login .error').textContent.includes('wrong')")
	b.until("the wrong one is selected, to be typed over", "document.activeElement.type === 'password' && !document.querySelector('.login button').disabled")
	b.run("the password", chromedp.KeyEvent("anna's password"+kb.Enter))
	b.until("the fleet", "document.querySelectorAll('.card').length === 7")
}

// readable finds texts with too little contrast, and what sticks out to the right.
const readable = `(() => {
  const parse = (c) => { const m = c.match(/[\d.]+/g).map(Number); return {r: m[0], g: m[1], b: m[2], a: m.length > 3 ? m[3] : 1}; };
  const over = (f, g) => ({r: f.r * f.a + g.r * (1 - f.a), g: f.g * f.a + g.g * (1 - f.a), b: f.b * f.a + g.b * (1 - f.a), a: 1});
  const lum = (c) => { const l = [c.r, c.g, c.b].map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * l[0] + 0.7152 * l[1] + 0.0722 * l[2]; };
  const ground = (e) => { const layers = []; for (let x = e; x; x = x.parentElement) { const c = parse(getComputedStyle(x).backgroundColor); layers.push(c); if (c.a === 1) break; } let g = {r: 255, g: 255, b: 255, a: 1}; for (const c of layers.reverse()) g = over(c, g); return g; };
  const wrong = [];
  for (const e of document.querySelectorAll('body *')) {
    if (e.closest('svg, noscript, .unseen, .skip') || !e.checkVisibility() || ![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
    const style = getComputedStyle(e), g = ground(e), f = over(parse(style.color), g);
    const a = lum(f), b = lum(g), ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700;
    if (ratio < (large ? 3 : 4.5)) wrong.push('contrast ' + ratio.toFixed(2) + ' of "' + e.textContent.trim().slice(0, 40) + '"');
  }
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) wrong.push('id twice: ' + id);
  if (document.documentElement.scrollWidth > innerWidth) wrong.push('the page is ' + document.documentElement.scrollWidth + ' wide, the window ' + innerWidth);
  for (const e of document.querySelectorAll('button, select, input, nav a')) {
    if (!e.checkVisibility()) continue;
    const r = e.getBoundingClientRect();
    if (r.width < 20 || r.height < 20) wrong.push('too small to be hit: ' + (e.textContent || e.ariaLabel).slice(0, 30) + ' ' + Math.round(r.width) + '×' + Math.round(r.height));
  }
  return wrong.join('\n');
})()`

// check finds what a person with another way of seeing would miss.
func (b *browser) check(where string) {
	b.w.t.Helper()
	if wrong := b.eval(readable); wrong != "" {
		b.w.t.Errorf("%s: %s", where, wrong)
	}
	var tree struct { // read by hand: the library knows a closed set of words, and browsers say new ones
		Nodes []struct {
			Ignored bool `json:"ignored"`
			Role    struct {
				Value any `json:"value"`
			} `json:"role"`
			Name struct {
				Value any `json:"value"`
			} `json:"name"`
		} `json:"nodes"`
	}
	b.run("what a screen reader is told", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		return t.Call(ctx, "Accessibility.getFullAXTree", cdp.Empty{}, &tree)
	}))
	seen := map[string]int{}
	for _, n := range tree.Nodes {
		if n.Ignored {
			continue
		}
		role, name := fmt.Sprint(n.Role.Value), fmt.Sprint(n.Name.Value)
		seen[role]++
		switch role {
		case "button", "link", "textbox", "searchbox", "combobox", "checkbox", "image", "meter", "table", "dialog", "navigation", "heading", "columnheader":
			if strings.TrimSpace(name) == "" {
				b.w.t.Errorf("%s: a %s has no name", where, role)
			}
		}
	}
	if seen["main"]+seen["dialog"] != 1 || seen["heading"] == 0 {
		b.w.t.Errorf("%s: what a screen reader is told has no main part, or no heading: %v", where, seen)
	}
}

// The page in a real browser: what it shows is what pumps say, it moves without a reload, and
// everything can be done with the keyboard, on a phone and in the dark.
func TestThePage(t *testing.T) {
	w := newWorld(t, nil)
	w.seven()
	p := w.teller()
	p.minutes()
	p.all()
	p.tell("calgary", 214, 0, join(1, "abc"), join(2, "def"), join(3, ""), join(4, "<b>x</b>"))
	b := newBrowser(w)
	b.scheme("light")
	b.logIn()

	t.Run("the fleet is what the pumps say, without a reload", func(t *testing.T) {
		b.until("the sum", "document.querySelector('.tile .big').textContent === '656'")
		p.tell("calgary", 300, 0)
		b.until("the new sum", "document.querySelector('.tile .big').textContent === '742'")
		b.until("calgary is full", "document.querySelector('[data-id=calgary] .badge').textContent === 'full'")
		p.tell("calgary", 214, 0)
		b.until("calgary has room", "document.querySelector('[data-id=calgary] .badge').textContent === 'up'")
		b.picture("fleet-desktop-light")
	})
	t.Run("every page, light and dark, wide and narrow", func(t *testing.T) {
		for _, page := range []string{"fleet", "tree/studio", "viewers", "streams", "events", "plan", "access", "pump/calgary"} {
			b.run("going there", script(fmt.Sprintf("location.hash = '#/%s'", page)))
			b.until(page, "document.querySelector('main h1') && document.querySelectorAll('main *').length > 8")
			if page == "viewers" {
				b.until("the viewers", "document.querySelectorAll('tbody tr').length === 4")
			}
			name := strings.ReplaceAll(page, "/", "-")
			for _, size := range []struct {
				name          string
				width, height int64
			}{{"desktop", 1280, 900}, {"phone", 390, 844}} {
				b.run("the window", chromedp.EmulateViewport(size.width, size.height))
				for _, scheme := range []string{"light", "dark"} {
					b.scheme(scheme)
					b.check(fmt.Sprintf("%s, %s, %s", page, size.name, scheme))
					b.picture(name + "-" + size.name + "-" + scheme)
				}
			}
			b.run("the window", chromedp.EmulateViewport(1280, 900))
			b.scheme("light")
		}
	})
	t.Run("the tree", func(t *testing.T) { b.tree(p) })
	t.Run("trees of any width", func(t *testing.T) { b.trees() })
	t.Run("search by id, and kick", func(t *testing.T) { b.kick() })
	t.Run("whom the house serves itself", func(t *testing.T) { b.relayed(p) })
	t.Run("a drain with the keyboard alone", func(t *testing.T) { b.drain() })
	t.Run("a roster is planned, looked at, and applied", func(t *testing.T) { b.plan() })
	t.Run("the end of the session", func(t *testing.T) {
		w.setUsers()
		b.run("asking for something", script("location.hash = '#/access'"))
		b.until("the log-in", "document.querySelector('form.login') && document.querySelector('#top').hidden")
		b.picture("log-in-desktop-light")
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.faults {
		if !strings.Contains(f, "401") { // the session's end
			t.Error(f)
		}
	}
}

const dialog = chromedp.CSS("dialog[open]")

// overlap tells whether two pumps of a tree lie over each other.
const overlap = `(() => { const r = [...document.querySelectorAll('.node')].map((n) => n.getBoundingClientRect());
	return r.some((a, i) => r.some((c, j) => i < j && a.left < c.right && c.left < a.right && a.top < c.bottom && c.top < a.bottom)); })()`

func (b *browser) tree(p *teller) {
	t := b.w.t
	b.run("going there", script("location.hash = '#/tree/studio'"))
	b.until("seven pumps", "document.querySelectorAll('.node').length === 7 && document.querySelectorAll('.edge.flows').length === 7")
	if got := b.eval("document.querySelector('.node[data-id=calgary]').ariaLabel"); got != "Calgary: live, 214 viewers, from Toronto" {
		t.Error(got)
	}
	if got := b.eval("document.querySelectorAll('.edge.spare').length"); got != "2" {
		t.Errorf("%s lines that would be used instead", got)
	}
	if b.eval(overlap) != "false" {
		t.Error("pumps lie over each other")
	}
	b.run("a phone", chromedp.EmulateViewport(390, 844), script("location.hash = '#/fleet'"))
	b.until("the fleet", "document.querySelectorAll('.card').length === 7")
	b.run("the tree again", script("location.hash = '#/tree/studio'"))
	b.until("it goes down the window, and nothing is beside it", "document.querySelectorAll('.node').length === 7 && [...document.querySelectorAll('.tree .source, .node, .edge')].every((x) => { const r = x.getBoundingClientRect(); return r.left > 0 && r.right < innerWidth; })")
	if b.eval(overlap) != "false" || b.eval("document.querySelectorAll('.edge.flows').length") != "7" {
		t.Error("on a phone pumps lie over each other, or lines are missing")
	}
	b.run("turned", chromedp.EmulateViewport(844, 390))
	b.until("it is drawn anew", "document.querySelector('.node').getBoundingClientRect().width < 210")
	b.run("the window", chromedp.EmulateViewport(1280, 900))
	b.w.later(10 * time.Second) // toronto dies; the others go on
	for _, id := range []string{"ottawa", "montreal", "winnipeg", "halifax", "gaspe"} {
		p.tell(id, 10, 0)
	}
	parents["calgary"] = "montreal"
	defer func() { parents["calgary"] = "toronto" }()
	p.tell("calgary", 214, 0)
	b.w.fleet.Sweep(false)
	b.until("toronto is down", "document.querySelector('.node[data-id=toronto]').dataset.kind === 'bad'")
	b.until("nothing flows from there", "document.querySelectorAll('.edge.flows').length === 5 && document.querySelector('.node[data-id=winnipeg]').ariaLabel.endsWith('last from Toronto')")
	b.until("calgary has another parent", "document.querySelector('.node[data-id=calgary]').ariaLabel.endsWith('from Montréal')")
	b.picture("tree-studio-desktop-light-toronto-down")
	b.run("the events", script("location.hash = '#/events'"))
	b.until("it is told", "document.querySelector('.events').textContent.includes('Toronto is down')")
}

// layouts places trees of many kinds, and returns what lies over another one, or beside the window.
const layouts = `import('/static/tree.js').then(({layout, column}) => {
	const size = {width: 204, height: 72, gapX: 20, gapY: 58};
	const pump = (id, parent) => ({id, parent, wanted: [], delivering: true});
	const star = (n) => [pump('p0', ''), ...Array.from({length: n}, (_, i) => pump('p' + (i + 1), 'p0'))];
	const chain = (n) => Array.from({length: n}, (_, i) => pump('p' + i, i ? 'p' + (i - 1) : ''));
	const wide = (n) => Array.from({length: n}, (_, i) => pump('p' + i, i ? 'p' + Math.floor((i - 1) / 30) : ''));
	const wrong = [];
	const look = (what, {nodes, width}, most) => {
		if (width > most) wrong.push(what + ' is ' + width + ' wide');
		for (const n of nodes) {
			if (!(n.x >= 0 && n.x + n.width <= width + 1) || n.width < 150) wrong.push(what + ': ' + n.id + ' is at ' + n.x + ', ' + n.width + ' wide');
		}
		const rows = nodes.map((n) => [n.x, n.y, n.x + n.width, n.y + size.height]);
		if (rows.some((a, i) => rows.some((c, j) => i < j && a[0] < c[2] && c[0] < a[2] && a[1] < c[3] && c[1] < a[3]))) wrong.push(what + ': pumps lie over each other');
	};
	for (const n of [1, 7, 39, 50, 150]) look('a star of ' + n, layout(star(n), size, 1216), 1216);
	for (const list of [star(1), star(50), wide(1000), chain(3), chain(14)]) look('a phone with ' + list.length, column(list, size, 326), 326);
	look('a chain', layout(chain(14), size, 1216), 1216);
	window.layouts = wrong.join('; ') || 'as it should be';
}, (e) => { window.layouts = String(e); })`

// trees looks at pictures of fleets that are not there.
func (b *browser) trees() {
	b.run("placing", script(layouts))
	b.until("they are placed", "window.layouts")
	if got := b.eval("window.layouts"); got != "as it should be" {
		b.w.t.Error(got)
	}
}

func (b *browser) kick() {
	t := b.w.t
	b.run("going there", script("location.hash = '#/viewers'"))
	b.until("four viewers", "document.querySelectorAll('tbody tr').length === 4")
	if got := b.eval("document.querySelector('tbody').textContent.includes('<b>x</b>')"); got != "true" {
		t.Error("markup in an id is not shown as it is")
	}
	b.run("searching", script("document.querySelector('input[type=search]').focus()"), chromedp.KeyEvent("abc"))
	b.until("one viewer", "document.querySelectorAll('tbody tr').length === 1 && document.querySelector('tbody th').textContent === 'abc'")
	b.run("kicking", chromedp.Click(chromedp.CSS("tbody button.danger")), chromedp.WaitVisible(dialog))
	b.check("the question")
	b.picture("kick-desktop-light")
	b.run("yes", chromedp.KeyEvent(kb.Enter))
	b.until("the answer", "document.querySelector('.toast')?.textContent.includes('1 cut off')")
	if got := b.w.desk.done(); !strings.Contains(got, "kick (kicked by anna) calgary [1] []") {
		t.Errorf("the pumps were told: %s", got)
	}
	b.run("the details", chromedp.Click(chromedp.CSS("tbody button.link")), chromedp.WaitVisible(dialog))
	b.until("the pump was asked", "document.querySelector('dialog').textContent.includes('asked just now')")
	b.run("closing", chromedp.KeyEvent(kb.Escape))
	b.until("it is closed, and the focus is back", "!document.querySelector('dialog[open]') && document.activeElement.textContent === 'abc'")
}

func (b *browser) relayed(p *teller) {
	t := b.w.t
	p.tell("ottawa", 41, 3)
	p.relaying()
	b.run("going there", script("location.hash = '#/tree/studio'"))
	b.until("both houses are in the tree", "document.querySelectorAll('.node').length === 9 && document.querySelector('.node[data-id=\"@house-1\"]').ariaLabel === 'this house (relay): live, 2 viewers, from Calgary' && document.querySelector('.node[data-id=\"@house-2\"]').ariaLabel.includes('live, 1 viewer, from Ottawa')")
	b.picture("tree-studio-desktop-light-relay")
	b.run("to its viewers", script("document.querySelector('.node[data-id=\"@house-1\"]').dispatchEvent(new MouseEvent('click', {bubbles: true}))"))
	b.until("its viewers", "document.querySelectorAll('tbody tr').length === 2 && document.querySelector('tbody').textContent.includes('this house (relay)')")
	if got := b.eval("document.querySelector('select[aria-label=Pump]').selectedOptions[0].textContent"); got != "this house (relay)" {
		t.Errorf("chosen is %q", got)
	}
	b.check("viewers of a relay")
	b.picture("viewers-desktop-light-relay")
	b.run("kicking", chromedp.Click(chromedp.CSS("tbody button.danger")), chromedp.WaitVisible(dialog), chromedp.KeyEvent(kb.Enter))
	const want = "kick (kicked by anna) @house-1 ["
	for end := time.Now().Add(time.Minute); !strings.Contains(b.w.desk.done(), want); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the pumps were told: %s", b.w.desk.done())
		}
	}
	b.run("the fleet", script("location.hash = '#/fleet'"))
	b.until("they are in the sum", "document.querySelector('.tile').textContent.includes('3 by relay')")
	b.picture("fleet-desktop-light-relay")
}

func (b *browser) drain() {
	t := b.w.t
	b.run("going there", script("location.hash = '#/fleet'"))
	b.until("the fleet", "document.querySelectorAll('.card').length === 7")
	b.run("from the top", script("document.activeElement.blur(), getSelection().removeAllRanges(), document.querySelector('.skip').focus()"))
	if got := b.eval("document.activeElement.textContent"); got != "Skip to the content" {
		t.Errorf("first comes %q", got)
	}
	tabTo := func(what, expression string) {
		for range 60 {
			b.run("Tab", chromedp.KeyEvent(kb.Tab))
			if b.eval(expression) == "true" {
				if b.eval("getComputedStyle(document.activeElement).outlineStyle !== 'none' || Boolean(document.activeElement.closest('.card'))") != "true" {
					t.Errorf("%s: one cannot see where one is", what)
				}
				return
			}
		}
		t.Fatalf("Tab does not lead to %s", what)
	}
	tabTo("Halifax", "document.activeElement.textContent === 'Halifax'")
	b.run("Enter", chromedp.KeyEvent(kb.Enter))
	b.until("the pump", "document.querySelector('main h1')?.textContent === 'Halifax'")
	tabTo("Drain", "document.activeElement.textContent === 'Drain'")
	b.run("Enter", chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(dialog), chromedp.KeyEvent(kb.Enter))
	b.until("it drains", "document.querySelector('main .badge').textContent === 'draining' && [...document.querySelectorAll('main button')].some((x) => x.textContent === 'Take viewers again')")
	if !b.w.fleet.View().Pump("halifax").Wanted().Draining {
		t.Error("it is not in the roster")
	}
}
