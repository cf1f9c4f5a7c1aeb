//go:build !linux

package e2e

import "syscall"

// ownGroup puts the child into a session and group of its own, so that it can be killed with its children.
func ownGroup(attr *syscall.SysProcAttr) { attr.Setsid = true }

// favour does nothing here.
func favour(int) {}
