// Package disk reads files that somebody named in a configuration, without ever waiting for
// them: a pipe that nobody writes to, put where a file should be, must not stop a reload or
// the end of the program.
package disk
