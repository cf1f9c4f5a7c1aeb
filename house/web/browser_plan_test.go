package web

import (
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// plan pastes a roster, looks at what it would do to those who watch, and applies it.
func (b *browser) plan() {
	t := b.w.t
	b.run("going there", script("location.hash = '#/plan'"))
	b.until("the form", "document.querySelector('main textarea')")
	paste := func(text string) {
		b.run("pasting", script("const e = document.querySelector('main textarea'); e.value = "+string(mustJSON(text))+"; e.dispatchEvent(new Event('input'))"))
	}
	button := func(name string) string {
		return "[...document.querySelectorAll('main button')].find((x) => x.textContent === '" + name + "')"
	}
	plan, apply := button("Plan"), button("Apply")

	paste("[{\"id\": \"a b\"},\n {\"id\": \"c\", \"parent_id\": \"d\"}]")
	b.run("planning", script(plan+".click()"))
	b.until("both problems, with their places", "/1:\\d+.*\\n.*2:\\d+/.test(document.querySelector('main .error').textContent)")
	if b.eval(apply+".disabled") != "true" {
		t.Error("a roster that is wrong can be applied")
	}
	paste(withoutCalgary)
	b.run("planning", script(plan+".click()"))
	b.until("who stays, moves and is refused", "[...document.querySelectorAll('.plan .big')].map((x) => x.textContent).join() === '0,2,2,4'")
	b.until("the expectations", "document.querySelector('.plan .badge').textContent === '1 of 2 expectations are met' && document.querySelector('.plan .faults').textContent.includes('10.1.0.1 goes to ottawa')")
	if got := b.eval("document.querySelectorAll('.plan .band').length + ' ' + document.querySelectorAll('.plan .flow-node').length"); got != "2 3" {
		t.Errorf("bands and pumps in the picture: %s", got)
	}
	if got := b.eval("document.querySelector('.plan tbody').innerText.replace(/\\s+/g, ' ').trim()"); got != "Calgary Halifax 2 at once Calgary nowhere 2 at once all pumps for them are full" {
		t.Errorf("the table: %s", got)
	}
	for _, size := range []struct {
		name          string
		width, height int64
	}{{"desktop", 1280, 1500}, {"phone", 390, 1700}} {
		b.run("the window", chromedp.EmulateViewport(size.width, size.height))
		for _, scheme := range []string{"light", "dark"} {
			b.scheme(scheme)
			b.check("the plan, " + size.name + ", " + scheme)
			b.picture("plan-made-" + size.name + "-" + scheme)
		}
	}
	b.run("the window", chromedp.EmulateViewport(1280, 900))
	b.scheme("light")
	if n := len(b.w.fleet.View().Pumps); n != 7 {
		t.Errorf("the plan is in force: %d pumps", n)
	}
	b.run("applying", script(apply+".focus()"), chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(dialog))
	b.until("the question says what will happen", "document.querySelector('dialog').textContent.includes('2 viewers would move, 2 viewers would find no pump, 7 pumps change. 1 expectation is not met.')")
	b.run("yes", chromedp.KeyEvent(kb.Enter))
	b.until("it is applied", "[...document.querySelectorAll('.toast')].some((x) => x.textContent === 'The roster is as the file says.')")
	if n := len(b.w.fleet.View().Pumps); n != 2 {
		t.Errorf("%d pumps in force", n)
	}
}
