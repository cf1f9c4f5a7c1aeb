package loadtest

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A child lives as long as this process, and not only as long as the thread that asked for it.
func TestAChildOutlivesTheThreadThatAskedForIt(t *testing.T) {
	t.Parallel()
	var c *child
	var err error
	thread := make(chan int)
	var ask func()
	ask = func() {
		runtime.LockOSThread()              // the thread ends with the goroutine
		if unix.Gettid() == unix.Getpid() { // but for the first one, which is kept busy
			defer runtime.UnlockOSThread()
			other := make(chan struct{})
			go func() { defer close(other); ask() }()
			<-other
			return
		}
		c, err = startChild("a sleeper", []string{"sleep", "600"}, nil)
		thread <- unix.Gettid()
	}
	go ask()
	task := fmt.Sprintf("/proc/self/task/%d", <-thread)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(task); os.IsNotExist(err) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the thread is still there")
		}
	}
	select {
	case <-c.done:
		t.Error("the child ended with the thread")
	case <-time.After(200 * time.Millisecond): // the kernel has sent the signal before the thread is gone
	}
	_ = c.cmd.Process.Kill()
	<-c.done
}
