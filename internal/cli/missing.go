package cli

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Missing is the error for a name that is to be a configuration file, and is not there. One
// that looks like no file may be meant for a command.
func Missing(program, name string) error {
	if filepath.Ext(name) == "" && !strings.ContainsRune(name, filepath.Separator) {
		return fmt.Errorf("%w: %s is neither a file nor a command (%s -h lists the commands)", ErrFile, name, program)
	}
	return fmt.Errorf("%w: there is no file %s (want the path of a configuration, as in /etc/%s.yaml)", ErrFile, name, program)
}

// Gone is the error for a configuration file that was there at the start and is not now.
func Gone(name string) error {
	return fmt.Errorf("%w: the configuration file %s is gone, and what is in force stays (put it back and reload again; a restart would fail)", ErrFile, name)
}
