//go:build !linux

package main

import "errors"

func awake() (func(), error) { return nil, errors.New("processors are kept awake on Linux only") }
