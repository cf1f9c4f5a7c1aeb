// Package paralleltest says how many tests of a package run at a time.
//
// The library of tests runs as many as there are processors. Tests that wait for terms, other programs or a cable, and
// compute next to nothing, can be more.
package paralleltest

import (
	"flag"
	"strconv"
)

// Allow lets n tests that call t.Parallel run at a time, whatever the number of processors, unless the command line
// says how many. It is called in TestMain, before any test.
func Allow(n int) error {
	flag.Parse()
	told := false
	flag.Visit(func(f *flag.Flag) { told = told || f.Name == "test.parallel" })
	if told {
		return nil
	}
	return flag.Set("test.parallel", strconv.Itoa(n))
}
