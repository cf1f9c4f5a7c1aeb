package pump

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/stream-pump/stream-pump/fleet"
)

// houseCache is the folder with what must outlive the program: the pump's certificate, and
// what the house said last. It is readable for the pump alone. Without a folder nothing is
// kept.
type houseCache struct{ folder string }

// Files of the folder.
const (
	identityFile = "identity.json"
	configFile   = "config.json"
)

// maxCached bounds a file of the cache, in bytes.
const maxCached = fleet.MaxBody + 1<<20

// Identity implements [fleet.Store].
func (c houseCache) Identity() (who fleet.Identity, err error) {
	err = c.read(identityFile, &who)
	return who, err
}

// KeepIdentity implements [fleet.Store].
func (c houseCache) KeepIdentity(who fleet.Identity) error { return c.write(identityFile, who) }

// Config returns what the house said last to this pump; ok is false when nothing was kept.
// A file that is damaged is an error.
func (c houseCache) Config(pump string) (cfg fleet.Config, ok bool, err error) {
	if err := c.read(configFile, &cfg); err != nil || cfg.Digest == "" {
		return fleet.Config{}, false, err
	}
	if cfg.Pump != pump {
		return fleet.Config{}, false, nil // it was another one's before
	}
	if err := cfg.Check(pump); err != nil {
		return fleet.Config{}, false, fmt.Errorf("%s is damaged: %w", filepath.Join(c.folder, configFile), err)
	}
	return cfg, true, nil
}

// KeepConfig keeps what the house said.
func (c houseCache) KeepConfig(cfg fleet.Config) error { return c.write(configFile, cfg) }

// read reads a file; one that is not there leaves v alone.
func (c houseCache) read(name string, v any) error {
	if c.folder == "" {
		return nil
	}
	f, err := os.Open(filepath.Join(c.folder, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("house.cache: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxCached))
	if err != nil {
		return fmt.Errorf("house.cache: %w", err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s is damaged: it is no JSON", f.Name()) // the text of the error could quote a secret
	}
	return nil
}

// write puts a whole file in place of the former one, or leaves that as it is.
func (c houseCache) write(name string, v any) (err error) {
	if c.folder == "" {
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("house.cache: %w", err)
	}
	if err := os.MkdirAll(c.folder, 0o700); err != nil {
		return fmt.Errorf("house.cache: %w", err)
	}
	f, err := os.CreateTemp(c.folder, "."+name+".*") // for its owner only
	if err != nil {
		return fmt.Errorf("house.cache: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // what is half is of no use
		}
	}()
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(c.folder, name))
	}
	if err != nil {
		return fmt.Errorf("house.cache: %w", err)
	}
	return syncFolder(c.folder)
}

// syncFolder makes a new name last.
func syncFolder(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return fmt.Errorf("house.cache: %w", err)
	}
	defer d.Close()
	_ = d.Sync() // not every file system can
	return nil
}
