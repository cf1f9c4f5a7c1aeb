package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// browser is Chromium without a window, at the pump's status page.
func browser(t *testing.T, url string) context.Context {
	t.Helper()
	need(t, "chromium")
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("chromium"), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, leave := chromedp.NewContext(ctx)
	t.Cleanup(func() {
		ending, cancel := context.WithTimeout(ctx, slack*10*time.Second)
		defer cancel()
		_ = chromedp.Cancel(ending) // waits until the browser has ended
		leave()
	})
	ctx, late := context.WithTimeout(ctx, slack*time.Minute)
	t.Cleanup(late)
	do(t, ctx, chromedp.Navigate(url))
	return ctx
}

// do does one thing after the other in the browser.
func do(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// look returns what the browser tells.
func look[T any](t *testing.T, ctx context.Context, at chromedp.Action[T]) T {
	t.Helper()
	seen, err := chromedp.Run(ctx, at)
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// noticed is where the page tells what became of a button.
const noticed = chromedp.CSS(`[role="status"]`)

// press presses a button and returns what the page says of it.
func press(t *testing.T, ctx context.Context, button chromedp.CSS) string {
	t.Helper()
	do(t, ctx, chromedp.Click(button), chromedp.WaitVisible(noticed))
	return look(t, ctx, chromedp.Text(noticed))
}

// The page's buttons do what they say in a real browser, which decides by itself what it tells of where a button was,
// and obeys what the page allows. Other pages have no such buttons.
func TestPageInABrowser(t *testing.T) {
	p := Pump(t, "limits: {viewers: 2}\nstreams: [{path: card, type: test_card}]")
	p.WaitState(t, "card", "live", 10*time.Second)
	home := fmt.Sprintf("http://127.0.0.1:%d/", p.AdminPort)
	conn := playPlain(t, p.Port)
	eventually(t, 10*time.Second, "it is counted", func() bool { s, _ := p.Stream(t, "card"); return s.Viewers == 1 })
	ctx := browser(t, home)
	const body = chromedp.CSS("body")
	admission := look(t, ctx, chromedp.Text(body))
	keepPicture(t, ctx, "pump-page.png")
	for _, want := range []string{"New viewers are taken, within these limits.", "viewers\tthe pump\t1\t2\t0"} {
		if !strings.Contains(admission, want) {
			t.Errorf("the page does not say %q: %q", want, admission)
		}
	}
	if said := press(t, ctx, `button[aria-label="Cut off viewer 1"]`); !strings.Contains(said, "Viewer 1 is cut off.") {
		t.Errorf("the page says %q", said)
	}
	_ = conn.SetReadDeadline(time.Now().Add(slack * 10 * time.Second))
	if _, err := io.Copy(io.Discard, conn); os.IsTimeout(err) {
		t.Error("the viewer is still there")
	}
	const reload = chromedp.CSS(`form[action="/page/reload"] button`)
	for _, c := range []struct{ limits, says string }{
		{"{viewers: 3}", "limits.viewers: 2 → 3"}, {"{viewers: -3}", "nothing was changed"}, {"{viewers: -3}", "pump.yml:3:"},
	} {
		p.Rewrite(t, "limits: "+c.limits+"\nstreams: [{path: card, type: test_card}]")
		do(t, ctx, chromedp.Navigate(home))
		if said := press(t, ctx, reload); !strings.Contains(said, c.says) {
			t.Errorf("the page says %q, want %q", said, c.says)
		}
	}
	keepPicture(t, ctx, "pump-page-notice.png")
	do(t, ctx, chromedp.Click(chromedp.CSS(`[role="status"] a`)), chromedp.WaitNotPresent(noticed))
	if at := look(t, ctx, chromedp.Location()); at != home {
		t.Errorf("from there it goes on to %s", at)
	}
	other := filepath.Join(t.TempDir(), "other.html")
	form := fmt.Sprintf(`<form method="post" action="%spage/reload"><button>Win a prize</button></form>`, home)
	if err := os.WriteFile(other, []byte(form), 0o600); err != nil {
		t.Fatal(err)
	}
	do(t, ctx, chromedp.Navigate("file://"+other), chromedp.Click(chromedp.CSS("button")), chromedp.WaitNotPresent(chromedp.CSS("button")))
	if said := look(t, ctx, chromedp.Text(body)); !strings.Contains(said, "cross_origin") {
		t.Errorf("a button of another page: %q", said)
	}
}

// keepPicture keeps a picture of the page in the folder that PAGES in the environment names, if it does.
func keepPicture(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	picture := look(t, ctx, chromedp.FullScreenshot(100))
	if folder := os.Getenv("PAGES"); folder != "" {
		if err := os.WriteFile(filepath.Join(folder, name), picture, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// playPlain watches as plain ASF.
func playPlain(t *testing.T, port int) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(slack * 10 * time.Second))
	if _, err := io.WriteString(conn, "GET /streams/card.asf HTTP/1.0\r\nHost: pump\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatalf("%q, %v", line, err)
	}
	return conn
}
