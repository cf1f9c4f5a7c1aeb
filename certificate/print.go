package certificate

import (
	"os"
	"syscall"
)

// print tells versions of the files apart, without reading them.
type print [3]struct {
	size, changed int64  // bytes, ns
	number        uint64 // in its file system: another one for a file that took the name
}

// look takes the print of files; one that is not there has none.
func look(f Files) (p print) {
	for i, name := range []string{f.Cert, f.Key, f.ClientCA} {
		if name == "" {
			continue
		}
		st, err := os.Stat(name)
		if err != nil {
			continue
		}
		p[i].size, p[i].changed = st.Size(), st.ModTime().UnixNano()
		if s, ok := st.Sys().(*syscall.Stat_t); ok {
			p[i].number = uint64(s.Ino)
		}
	}
	return p
}
