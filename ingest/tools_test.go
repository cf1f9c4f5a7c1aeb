package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stream-pump/stream-pump/internal/porttest"
	"github.com/stream-pump/stream-pump/internal/testcard"
	"github.com/stream-pump/stream-pump/internal/worldtest"
	"github.com/stream-pump/stream-pump/ringbuf"
)

// tool returns the path of a program, and skips the test where it is not installed.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed (scripts/install-test-deps installs it)", name)
	}
	return path
}

// decodes plays header and packets with FFmpeg, which must have nothing to say about them.
func decodes(t *testing.T, raw []byte, list []got) {
	t.Helper()
	body := bytes.Clone(raw)
	for _, g := range list {
		if g.Kind == ringbuf.Data {
			body = append(body, g.packet...)
		}
	}
	path := filepath.Join(t.TempDir(), "viewed.asf")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, tool(t, "ffmpeg"), "-v", "warning", "-i", path, "-f", "null", "-").CombinedOutput()
	var said []string
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "Guessed Channel Layout") { // old encoders do not tell it
			said = append(said, line)
		}
	}
	if err != nil || len(said) != 0 {
		t.Errorf("ffmpeg: %v\n%s", err, strings.Join(said, ""))
	}
}

func TestPushByFFmpeg(t *testing.T) { // MUST-S3
	ffmpeg := tool(t, "ffmpeg")
	card := filepath.Join(t.TempDir(), "card.asf")
	if err := os.WriteFile(card, testcard.ASF, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string]string{
		"asf_stream":              "-f asf_stream",
		"asf":                     "-f asf",
		"asf, PUT":                "-method PUT -f asf",
		"asf_stream, not chunked": "-chunked_post 0 -f asf_stream",
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			all := append([]string{"-v", "error", "-i", card, "-c", "copy"}, strings.Fields(args)...)
			out, err := exec.CommandContext(ctx, ffmpeg, append(all, "http://"+d.addr+"/streams/x_push")...).CombinedOutput()
			if err != nil {
				t.Errorf("ffmpeg: %v\n%s", err, out)
			}
			worldtest.Eventually(t, "the end", func() bool {
				last, ok := d.s.Ring().Peek(d.s.Ring().Tail() - 1)
				return ok && last.Kind == ringbuf.End
			})
			list := d.take()
			if len(list) < 100 || list[len(list)-1].Kind != ringbuf.End {
				t.Errorf("%d slabs, state %v", len(list), d.s.State())
			}
			for _, reason := range []string{dropMalformed, dropOversized, dropUndeclared, dropBeforeKey} {
				if n := d.dropped(reason); n != 0 {
					t.Errorf("%d packets were dropped as %s", n, reason)
				}
			}
		})
	}
}

func TestTestCardSeamDecodes(t *testing.T) {
	tool(t, "ffmpeg")
	var raw []byte
	var list []got
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		_ = playFor(t, NewTestCard(), 2*testcard.Duration+3*time.Second, r.feed())
		raw, list = r.s.Header().Raw, r.data()
	})
	decodes(t, raw, list)
}

func TestPullFromVLC(t *testing.T) { // MUST-C1
	vlc := tool(t, "cvlc")
	dir, err := os.MkdirTemp("", "vlc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	card := filepath.Join(dir, "card.asf")
	if err := errors.Join(os.WriteFile(card, testcard.ASF, 0o644), os.Chmod(dir, 0o777)); err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", porttest.Free(t))
	cmd := exec.CommandContext(t.Context(), vlc, "--no-plugins-cache", "-q", "--loop", card, "--sout",
		"#std{access=mmsh,mux=asfh,dst="+address+"/x}")
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_RUNTIME_DIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if os.Getuid() == 0 { // it refuses to run as root
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("vlc does not start: %v", err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	p, err := NewPull(PullOptions{URL: "mmsh://" + address + "/x"})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	for r.s.Ring().Tail() < 40 && ctx.Err() == nil {
		playing, enough := context.WithTimeout(ctx, 10*time.Second)
		f := r.feed()
		err = p.Run(playing, f)
		enough()
		f.Lost()
		sleep(ctx, 100*time.Millisecond)
	}
	list := r.take()
	if len(list) < 39 {
		t.Fatalf("%d packets: %v", len(list), err)
	}
	for _, reason := range []string{dropMalformed, dropOversized, dropUndeclared} {
		if n := r.dropped(reason); n != 0 {
			t.Errorf("%d packets were dropped as %s", n, reason)
		}
	}
}
