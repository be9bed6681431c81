package config

import (
	"os"
	"path/filepath"
	"strings"
)

// defaultAhead is for a disk that now and then takes longer than a level of 6 s for a commit. A machine that lost its
// power is away for longer than two levels in any case. docs/performance.md has the measurements.
const defaultAhead = 2

// maxAhead bounds the cost of a power cut, in levels.
const maxAhead = 100

// runtimeEnv lists the runtime directories made by systemd (systemd.exec(5)), separated by colons.
const runtimeEnv = "RUNTIME_DIRECTORY"

// Store is how the watermark file is written.
type Store struct {
	Ahead      *int32 `toml:"ahead"`
	RuntimeDir string `toml:"runtime_dir"`
}

func (c *Store) check(f *faultList) {
	if a := c.Levels(); a < 0 || a > maxAhead {
		f.add("store.ahead: %d; the number lies between 0 and %d levels", a, maxAhead)
	}
}

// Levels is by how many levels horizons are kept ahead.
func (c *Store) Levels() int32 {
	if c.Ahead == nil {
		return defaultAhead
	}
	return *c.Ahead
}

// RuntimeDir is the directory in which exact marks outlive a killed process: configured, or made by systemd, or beside
// the admin socket.
func (c *Config) RuntimeDir() string {
	if c.Store.RuntimeDir != "" {
		return c.Store.RuntimeDir
	}
	if first, _, _ := strings.Cut(os.Getenv(runtimeEnv), ":"); filepath.IsAbs(first) {
		return first
	}
	return filepath.Dir(c.Admin.Socket)
}
