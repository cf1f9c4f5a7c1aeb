// Package scripts has only tests: of the project's scripts that decide something, each run as it is in a module of the
// test's own.
package scripts
