package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/house"
)

// startHouse runs the program; it is killed at the end of the test.
func startHouse(t *testing.T, file string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "pump-house")
	if err := os.Symlink(self, name); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(name, "run", file)
	log, err := os.Create(file + ".log")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(file + ".log")
			t.Logf("the house's log:\n%s", text)
		}
	})
	return cmd
}

// desk waits for the house to listen.
func desk(ctx context.Context, t *testing.T, file string) house.Desk {
	t.Helper()
	cfg, err := loadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for {
		if c, err := net.Dial("unix", house.ControlSocket(cfg.Data)); err == nil { // not an old one's
			_ = c.Close()
			d, err := house.OpenDesk(ctx, cfg, slog.New(slog.DiscardHandler))
			if err == nil {
				if _, err = d.Export(ctx); err == nil {
					return d
				}
				d.Close()
			}
		}
		select {
		case <-ctx.Done():
			t.Fatal("the house does not come up")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// kill -9 in the midst of changes: everything that was acknowledged is there afterwards.
func TestNothingAcknowledgedIsLostByKilling(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "house.yaml")
	text := "listen: ['127.0.0.1:0']\nssl_listen: ['127.0.0.1:0']\nname: killed\nstreams: []\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
	defer cancel()
	acknowledged := 0
	for round := range 3 {
		cmd := startHouse(t, file)
		d := desk(ctx, t, file)
		kept, err := d.Export(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(kept), `"id"`); n < acknowledged {
			t.Fatalf("round %d: %d pumps are kept, %d were acknowledged", round, n, acknowledged)
		}
		var kill *time.Timer // runs from the first change on, however long the house takes for that
		for {
			var pumps []string
			for i := range acknowledged + 1 {
				pumps = append(pumps, fmt.Sprintf(`{"id": "pump-%d"}`, i))
			}
			if err := d.Import(ctx, "pumps.json", []byte("["+strings.Join(pumps, ",")+"]")); err != nil {
				break
			}
			acknowledged++
			if kill == nil {
				kill = time.AfterFunc(time.Duration(200+100*round)*time.Millisecond, func() { _ = cmd.Process.Kill() })
			}
		}
		if kill == nil {
			t.Fatalf("round %d: nothing was acknowledged", round)
		}
		kill.Stop()
		_ = cmd.Process.Kill() // if that was not why the change was refused
		d.Close()
		_ = cmd.Wait() // it was killed
	}
	t.Logf("%d changes were acknowledged", acknowledged)
	startHouse(t, file)
	d := desk(ctx, t, file)
	defer d.Close()
	kept, err := d.Export(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range acknowledged {
		if !strings.Contains(string(kept), fmt.Sprintf(`"pump-%d"`, i)) {
			t.Errorf("pump-%d was acknowledged and is gone", i)
		}
	}
}

// fleetOf is a roster of so many pumps, each with ten networks and the title.
func fleetOf(pumps int, title string) string {
	var b strings.Builder
	for i := range pumps {
		fmt.Fprintf(&b, `,{"id": "pump-%d", "title": %q, "max_viewers": 300, "networks": ["10.%d.%d.0/24"`, i, title, i/256, i%256)
		for k := range 9 {
			fmt.Fprintf(&b, `, "2001:db8:%x:%x::/64"`, i, k)
		}
		b.WriteString("]}")
	}
	return "[" + b.String()[1:] + "]"
}

// kill -9 in the midst of an import of a thousand pumps: the next start has the old roster or the new one, and the new
// one if it was acknowledged, or if as much as one pump of it was kept.
func TestAnImportIsWholeAfterKilling(t *testing.T) {
	const pumps = 1000
	dir := t.TempDir()
	file := filepath.Join(dir, "house.yaml")
	text := "listen: ['127.0.0.1:0']\nssl_listen: ['127.0.0.1:0']\nname: killed\nstreams: []\npumps_roster_json: pumps.json\n"
	for name, text := range map[string]string{file: text, filepath.Join(dir, "pumps.json"): fleetOf(pumps, "first")} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := startHouse(t, file)
	began := time.Now()
	d := desk(ctx, t, file)
	t.Logf("the first start with %d pumps took %v", pumps, time.Since(began).Round(time.Millisecond))
	in := "first"
	outcomes := map[string]int{}
	for round := range 8 {
		next := fmt.Sprintf("round %d", round)
		kill := time.AfterFunc(time.Duration(round)*60*time.Millisecond, func() { _ = cmd.Process.Kill() })
		err := d.Import(ctx, "pumps.json", []byte(fleetOf(pumps, next)))
		kill.Stop()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		d.Close()
		cmd = startHouse(t, file)
		d = desk(ctx, t, file)
		kept, exportErr := d.Export(ctx)
		if exportErr != nil {
			t.Fatal(exportErr)
		}
		was, is := strings.Count(string(kept), fmt.Sprintf("%q", in)), strings.Count(string(kept), fmt.Sprintf("%q", next))
		switch {
		case was == 0 && is == pumps:
			in = next
			outcomes["the new one"]++
		case was == pumps && is == 0 && err != nil:
			outcomes["the old one"]++
		default:
			t.Fatalf("round %d (%v): %d pumps are as before, %d as imported", round, err, was, is)
		}
	}
	began = time.Now()
	if err := d.Import(ctx, "pumps.json", []byte(fleetOf(pumps, "last"))); err != nil {
		t.Fatal(err)
	}
	t.Logf("killed: %v; an import of %d pumps that is let be took %v", outcomes, pumps, time.Since(began).Round(time.Millisecond))
	d.Close()
}
