package runas

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// proc is where the kernel tells about threads.
const proc = "/proc"

// Prepare looks up whom the program is to become and makes sure that it can. For root it may
// start the program anew, in the same process, with no_new_privs set: call it before anything
// is opened. It does nothing for an empty Want.
func Prepare(w Want) error {
	if w.User == "" {
		return nil
	}
	a, err := Lookup(w)
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return a.already()
	}
	has, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if err != nil {
		return fmt.Errorf("asking for no_new_privs: %w", err)
	}
	if has == 1 {
		return nil
	}
	return again()
}

// already tells why a program that is not root cannot be the account, nil when it is.
func (a Account) already() error {
	if uid := os.Getuid(); uid != a.UID {
		return fmt.Errorf("run_as names the user %s (%d), and only root can become another user; this program was started as user %d (start it as root, or as %s, or leave run_as out)",
			a.Name, a.UID, uid, a.Name)
	}
	if err := verify(proc, a, somebody); err != nil {
		return fmt.Errorf("the program was started as %s, but not with what run_as says: %w", a.Name, err)
	}
	return nil
}

// again starts the program anew in this process with no_new_privs set. It returns only an
// error.
func again() error {
	runtime.LockOSThread() // the thread that has the bit is the one that goes on
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("setting no_new_privs: %w", err)
	}
	self, err := os.Executable()
	if err == nil {
		err = unix.Exec(self, os.Args, os.Environ())
	}
	return fmt.Errorf("starting the program anew with no_new_privs: %w", err)
}

// Drop becomes the account on every thread, for good, and proves it. Call it when everything
// that needs root is open and before anything from outside is read. After an error the
// program must end: it may be neither root nor the account. It returns a zero Account for an
// empty Want.
func Drop(w Want) (Account, error) {
	if w.User == "" {
		return Account{}, nil
	}
	a, err := Lookup(w)
	if err != nil {
		return Account{}, err
	}
	if os.Geteuid() != 0 {
		return a, a.already()
	}
	if err := a.become(); err != nil {
		return Account{}, err
	}
	if err := a.prove(); err != nil {
		return Account{}, fmt.Errorf("the program has not become %s: %w", a.Name, err)
	}
	return a, a.settle()
}

// become changes groups, group and user, in this order, each on all threads.
func (a Account) become() error {
	cure := func(what string, err error) error {
		return fmt.Errorf("becoming %s: %s: %w (root needs the capabilities CAP_SETUID and CAP_SETGID for it)", a.Name, what, err)
	}
	if err := emptyBounding(); err != nil {
		return cure("emptying the bounding set of capabilities", err)
	}
	if err := syscall.Setgroups(a.Groups); err != nil {
		return cure("setting the supplementary groups", err)
	}
	if err := syscall.Setresgid(a.GID, a.GID, a.GID); err != nil {
		return cure("setting the group", err)
	}
	if err := syscall.Setresuid(a.UID, a.UID, a.UID); err != nil {
		return cure("setting the user", err)
	}
	return nil
}

// lastCapability is beyond what any kernel knows.
const lastCapability = 63

// emptyBounding takes every capability out of the bounding set of every thread, so that
// nothing that is started later can have one either. no_new_privs sees to that already: where
// root lacks CAP_SETPCAP, as in a container, and in a program with C libraries, in which Go
// cannot reach every thread, the set stays.
func emptyBounding() error {
	for c := range uintptr(lastCapability + 1) {
		_, _, errno := syscall.AllThreadsSyscall(syscall.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0)
		switch errno {
		case 0:
		case syscall.EINVAL, syscall.EPERM, syscall.ENOTSUP: // the kernel knows no more of them, or the set stays
			return nil
		default:
			return errno
		}
	}
	return nil
}

// prove looks at every thread and tries the ways back.
func (a Account) prove() error {
	if err := verify(proc, a, ourselves); err != nil {
		return err
	}
	for what, err := range map[string]error{
		"user":   syscall.Setresuid(0, 0, 0),
		"group":  syscall.Setresgid(0, 0, 0),
		"groups": syscall.Setgroups([]int{0}),
	} {
		if !errors.Is(err, unix.EPERM) {
			return fmt.Errorf("it could become root's %s again (%v)", what, err)
		}
	}
	return nil
}

// settle puts right what changing the user leaves behind: the kernel closes /proc/self to
// a process that did, and with it our own figures; and the home of root is nothing to us.
func (a Account) settle() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("opening /proc/self again: %w", err)
	}
	home := a.Home
	if home == "" {
		home = "/"
	}
	for name, value := range map[string]string{"HOME": home, "USER": a.Name, "LOGNAME": a.Name} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}
