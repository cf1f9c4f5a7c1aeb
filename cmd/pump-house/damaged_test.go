package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/house/store"
)

// A house whose store was cut does not come up as if it were new: it ends with an error that names
// the folder and says what to do.
func TestACutStoreIsNoNewHouse(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "house.yaml")
	text := "listen: ['127.0.0.1:0']\nssl_listen: ['127.0.0.1:0']\nname: cut\ndata: data\nstreams: []\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
	defer cancel()
	cmd := startHouse(t, file)
	d := desk(ctx, t, file)
	if err := d.Import(ctx, "pumps.json", []byte(`[{"id": "a"}, {"id": "b"}]`)); err != nil {
		t.Fatal(err)
	}
	d.Close()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("an orderly end: %v", err)
	}
	blocks, err := filepath.Glob(filepath.Join(store.Folder(filepath.Join(dir, "data")), "jetstream", "*", "streams", "*-state", "msgs", "*.blk"))
	if err != nil || len(blocks) == 0 {
		t.Fatalf("%v, %v", blocks, err)
	}
	for _, b := range blocks {
		if err := os.Truncate(b, 200); err != nil {
			t.Fatal(err)
		}
	}
	cmd = startHouse(t, file)
	var exit *exec.ExitError
	if err := cmd.Wait(); err == nil {
		t.Fatal("it ends as if all were well")
	} else if e, ok := err.(*exec.ExitError); ok {
		exit = e
	}
	said, err := os.ReadFile(file + ".log")
	if err != nil {
		t.Fatal(err)
	}
	if exit == nil || exit.ExitCode() <= 0 || !strings.Contains(string(said), "the store is damaged") || !strings.Contains(string(said), filepath.Join(dir, "data", "store")) {
		t.Errorf("%v: %s", exit, said)
	}
}
