package cmd

import (
	"bytes"
	"cmp"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"highwater/hwm"
	"highwater/operate"
	"highwater/store"
)

// defaultAhead is for a disk that now and then takes as long as a level for a sync.
const defaultAhead = 1

// maxAhead bounds what a power cut may cost.
const maxAhead = 100

// runtimeEnv is where systemd says which runtime directories it made (systemd.exec(5)), separated by colons.
const runtimeEnv = "RUNTIME_DIRECTORY"

// storeConfig is how the watermark file is written.
type storeConfig struct {
	Ahead      *int32 `toml:"ahead"`
	RuntimeDir string `toml:"runtime_dir"`
}

func (c *storeConfig) check(f *faultList) {
	if a := c.ahead(); a < 0 || a > maxAhead {
		f.add("store.ahead: %d; it lies between 0 and %d levels", a, maxAhead)
	}
}

// ahead is by how many levels horizons are kept ahead.
func (c *storeConfig) ahead() int32 {
	if c.Ahead == nil {
		return defaultAhead
	}
	return *c.Ahead
}

// runtimeDir is where exact marks outlive a killed process: as configured, or as systemd made it, or beside the admin socket.
func (c *config) runtimeDir() string {
	if c.Store.RuntimeDir != "" {
		return c.Store.RuntimeDir
	}
	if first, _, _ := strings.Cut(os.Getenv(runtimeEnv), ":"); filepath.IsAbs(first) {
		return first
	}
	return filepath.Dir(c.Admin.Socket)
}

// storeOptions are those of the configuration.
func (c *config) storeOptions(opt instanceOptions) store.Options {
	return store.Options{Log: opt.log, OnCommit: opt.onCommit, Ahead: c.Store.ahead(), RuntimeDir: c.runtimeDir()}
}

// checkRuntime says what a killed process costs.
func checkRuntime(cfg *config) finding {
	const name = "levels ahead"
	if cfg.Store.ahead() == 0 {
		return good(name, "off: each signature waits for the disk")
	}
	dir := cfg.runtimeDir()
	if err := store.CheckRuntimeDir(dir); err != nil {
		return finding{
			name, resultWarning, dir + ": " + err.Error() + ". A killed process costs what a power cut costs: the levels ahead",
			"set runtime_dir in [store] to a directory on a tmpfs that this user owns, such as /run/highwater",
		}
	}
	return good(name, "%d; a killed process costs none, by %s", cfg.Store.ahead(), dir)
}

// lastRun is how the run before ended, for people and programs.
func lastRun(e store.Ending) *operate.LastRun {
	out := &operate.LastRun{Ended: e.How, Why: e.Why, Floors: []operate.HorizonFloor{}}
	for key, level := range e.Floors {
		out.Floors = append(out.Floors, operate.HorizonFloor{Chain: key.Chain, PKH: key.PKH, Level: level})
	}
	slices.SortFunc(out.Floors, func(a, b operate.HorizonFloor) int {
		return cmp.Or(bytes.Compare(a.Chain[:], b.Chain[:]), strings.Compare(a.PKH.String(), b.PKH.String()))
	})
	return out
}

// sayLastRun logs how the run before ended, and from which level each key signs again.
func sayLastRun(log *slog.Logger, last *operate.LastRun, rows []hwm.Row) {
	log.Info("last run", "ended", last.Ended, "text", last.Line())
	floors := map[hwm.CeilingKey]bool{}
	for _, f := range last.Floors {
		floors[hwm.CeilingKey{Chain: f.Chain, PKH: f.PKH}] = true
	}
	var order []hwm.CeilingKey
	highest := map[hwm.CeilingKey]hwm.Mark{}
	for _, r := range rows {
		key := hwm.CeilingKey{Chain: r.Chain, PKH: r.PKH}
		have, known := highest[key]
		if !known {
			order = append(order, key)
		}
		if !known || r.Above(have) {
			highest[key] = r.Mark
		}
	}
	for _, key := range order {
		from := int64(highest[key].Level)
		if highest[key].Round == hwm.MaxRound {
			from++
		}
		log.Info("signs again", "pkh", key.PKH.String(), "chain", key.Chain.String(), "from_level", from, "horizon", floors[key])
	}
}
