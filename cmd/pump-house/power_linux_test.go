package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ownDisk is a file system of its own, ext4 in a file. What has not been synced is in the kernel's memory and not in that
// file: it writes by itself only after minutes. A copy of the file is what a machine finds there after its power went.
type ownDisk struct{ image, dir string }

const diskSize = 96 << 20 // a house refuses changes when little is free

func newDisk(t *testing.T) *ownDisk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a power cut needs a file system of its own, and that root, loop devices and ext4")
	}
	d := &ownDisk{image: filepath.Join(t.TempDir(), "image")}
	f, err := os.Create(d.image)
	if err == nil {
		err = f.Truncate(diskSize)
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", d.image).CombinedOutput(); err != nil {
		t.Skipf("a power cut needs a file system of its own: mkfs.ext4: %v\n%s", err, out)
	}
	d.mount(t)
	return d
}

func (d *ownDisk) mount(t *testing.T) {
	t.Helper()
	d.dir = t.TempDir()
	out, err := exec.Command("mount", "-o", "loop,commit=300", d.image, d.dir).CombinedOutput()
	if err != nil {
		t.Skipf("a power cut needs a file system of its own, and that loop devices: mount: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(d.dir, 0); err != nil {
			t.Errorf("unmounting %s: %v", d.dir, err)
		}
	})
}

// cut returns the disk as it would be if the power went now. The house stands still meanwhile, and is let go on.
func (d *ownDisk) cut(t *testing.T, house *exec.Cmd) *ownDisk {
	t.Helper()
	if err := house.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = house.Process.Signal(syscall.SIGCONT) }()
	after := &ownDisk{image: filepath.Join(t.TempDir(), "image")}
	var last []byte
	for deadline := time.Now().Add(time.Minute); ; { // what was on its way to the disk has to get there, or has not to
		sum := copyFile(t, d.image, after.image)
		if bytes.Equal(sum, last) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the disk does not come to rest")
		}
		last = sum
	}
	after.mount(t)
	return after
}

func copyFile(t *testing.T, from, to string) (sum []byte) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(out, h), in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return h.Sum(nil)
}

// configFor is a house's file, whose data is on the disk.
func (d *ownDisk) configFor(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "house.yaml")
	text := fmt.Sprintf("listen: ['127.0.0.1:0']\nssl_listen: ['127.0.0.1:0']\nname: cut\nstreams: []\ndata: %s\n", filepath.Join(d.dir, "d"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// kept is the roster of a house that starts after a power cut.
func (d *ownDisk) kept(ctx context.Context, t *testing.T) string {
	t.Helper()
	file := d.configFor(t)
	cmd := startHouse(t, file)
	k := desk(ctx, t, file)
	text, err := k.Export(ctx)
	k.Close()
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// numbered is a roster of pumps from-to.
func numbered(from, to int) string {
	var pumps []string
	for i := from; i < to; i++ {
		pumps = append(pumps, fmt.Sprintf(`{"id": "pump-%d"}`, i))
	}
	return "[" + strings.Join(pumps, ",") + "]"
}

// The power goes right after a change was acknowledged: the change is on the disk. That holds for the first one of a new
// house, for those that come one after the other, and for what was taken away.
func TestNothingAcknowledgedIsLostByAPowerCut(t *testing.T) {
	d := newDisk(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	file := d.configFor(t)
	house := startHouse(t, file)
	k := desk(ctx, t, file)
	defer k.Close()
	for _, step := range []struct{ from, to int }{{0, 1}, {0, 40}, {0, 41}, {30, 42}, {30, 43}} {
		if err := k.Import(ctx, "pumps.json", []byte(numbered(step.from, step.to))); err != nil {
			t.Fatal(err)
		}
		kept := d.cut(t, house).kept(ctx, t)
		for i := range 50 {
			has := strings.Contains(kept, fmt.Sprintf(`"pump-%d"`, i))
			if want := i >= step.from && i < step.to; has != want {
				t.Fatalf("pumps %d to %d were acknowledged; after a power cut it is %v that pump-%d is there", step.from, step.to-1, has, i)
			}
		}
	}
}
