//go:build !linux

package main

import "errors"

func throughRing() (writer, error) { return nil, errors.New("there is no io_uring but on Linux") }
