package config

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/stream-pump/stream-pump/internal/disk"
)

// Load reads the configuration file and the environment (as of [os.Environ]). What
// is wrong with the content comes as [Problems], all of it; a file that cannot be
// read comes as the error of reading it. Files named in the configuration must
// exist.
func Load(file string, env []string) (*Config, error) {
	data, err := disk.Read(file, MaxFileBytes)
	if err != nil {
		return nil, fmt.Errorf("reading configuration: %w", err)
	}
	return LoadText(file, data, env)
}

// LoadText is [Load] for the text of a file that is to be, called name.
func LoadText(name string, data []byte, env []string) (*Config, error) {
	return parse(name, data, env, disk.Usable)
}

// Parse is [Load] for data already read. name is the file's name: it stands in
// problems, its folder is where relative paths start, and .js makes it the
// language of the 2011 program. Nothing is looked for on disk.
func Parse(name string, data []byte, env []string) (*Config, error) {
	return parse(name, data, env, func(string) error { return nil })
}

func parse(name string, data []byte, env []string, exists func(string) error) (*Config, error) {
	d := newDecoder(name)
	root := d.tree(name, data)
	if root != nil {
		root = d.environment(root, env)
	}
	c := Default()
	c.Dir = filepath.Dir(name)
	if root != nil {
		d.root(root, c)
		d.check(c)
		c.resolve()
		d.files(c.fileNames(), exists)
	}
	if len(d.problems) > 0 {
		return nil, d.problems.finish(name)
	}
	return c, nil
}

// tree turns data into nodes, or returns nil with a problem noted.
func (d *decoder) tree(name string, data []byte) *node {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	start := position{file: name, line: 1, column: 1}
	switch {
	case len(data) > d.form.maxBytes:
		d.problem(start, "the file is too long", fmt.Sprintf("at most %s", Size(d.form.maxBytes)))
		return nil
	case !utf8.Valid(data):
		d.problem(invalidAt(name, data), "the file is not UTF-8 text", "save it as UTF-8")
		return nil
	case bytes.IndexByte(data, 0) >= 0:
		d.problem(offsetAt(name, data, bytes.IndexByte(data, 0)), "the file holds a zero byte", "save it as UTF-8 text")
		return nil
	case len(bytes.TrimSpace(data)) == 0:
		d.problem(start, "the file is empty", d.form.least)
		return nil
	}
	root := d.form.read(d, name, data)
	if root != nil && root.size > d.form.maxNodes {
		d.problem(root.at, "the file holds too many values", fmt.Sprintf("at most %d, each counted wherever it is referred to", d.form.maxNodes))
		return nil
	}
	return root
}

var scriptStart = regexp.MustCompile(`(?m)^[ \t]*(module[ \t]*\.[ \t]*)?exports\b[ \t]*(\.[ \t]*\w+[ \t]*)*=`)

// isScript reports whether data is the config.js of the 2011 program: by the name,
// and else by the assignment no YAML file begins a line with.
func isScript(name string, data []byte) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".js", ".cjs":
		return true
	case ".yaml", ".yml", ".json":
		return false
	}
	return scriptStart.Match(data)
}

func invalidAt(name string, data []byte) position {
	i := 0
	for i < len(data) {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		i += n
	}
	return offsetAt(name, data, i)
}

// offsetAt returns the position of byte i of data.
func offsetAt(name string, data []byte, i int) position {
	before := data[:i]
	lineStart := bytes.LastIndexByte(before, '\n') + 1
	return position{
		file:   name,
		line:   bytes.Count(before, []byte("\n")) + 1,
		column: utf8.RuneCount(before[lineStart:]) + 1,
	}
}

// finish sorts the problems, drops repeated ones and cuts the list at its bound.
func (p Problems) finish(name string) Problems {
	p.sort()
	var out Problems
	for _, x := range p {
		if len(out) == 0 || out[len(out)-1] != x {
			out = append(out, x)
		}
	}
	if len(out) > maxProblems {
		more := Problem{File: name, What: fmt.Sprintf("%d more problems", len(out)-maxProblems+1)}
		out = append(out[:maxProblems-1:maxProblems-1], more)
	}
	return out
}

// resolve joins relative file names to the folder of the configuration.
func (c *Config) resolve() { c.join(c.fileNames()) }

func (c *Config) join(list []fileName) {
	for _, f := range list {
		if *f.name != "" && !filepath.IsAbs(*f.name) {
			*f.name = filepath.Join(c.Dir, *f.name)
		}
	}
}

// fileName is one setting that names a file.
type fileName struct {
	name *string
	path string // of the setting
	used bool   // as things are configured, the file will be opened
}

func (c *Config) fileNames() []fileName {
	list := []fileName{{&c.SSLKey, "ssl_key", c.SSL}, {&c.SSLCert, "ssl_cert", c.SSL}, {&c.SSLClientCA, "ssl_client_ca", c.SSL}, {&c.ACME.CA, "acme.ca", c.ACME.On()}, {&c.ACME.Folder, "acme.folder", false}, {&c.House.CA, "house.ca", c.House.On()}, {&c.House.Cache, "house.cache", false}}
	return append(list, c.streamFiles()...)
}

func (c *Config) streamFiles() (list []fileName) {
	for i := range c.Streams {
		s := &c.Streams[i]
		path := fmt.Sprintf("streams[%d]", i)
		list = append(list, fileName{&s.File, path + ".file", s.Enabled})
		if s.SourceOptions != nil {
			list = append(list, fileName{&s.SourceOptions.File, path + ".source_options.file", s.Enabled})
		}
		for j := range s.Sources {
			list = append(list, fileName{&s.Sources[j].File, fmt.Sprintf("%s.sources[%d].file", path, j), s.Enabled})
		}
	}
	return list
}

// files notes every file that is configured, in use and not there.
func (d *decoder) files(list []fileName, exists func(string) error) {
	for _, f := range list {
		if *f.name == "" || !f.used {
			continue
		}
		if err := exists(*f.name); err != nil {
			d.problem(d.at(f.path), fmt.Sprintf("%s %q cannot be used", lastKey(f.path), *f.name), "a file that exists, relative to this one or absolute")
		}
	}
}
