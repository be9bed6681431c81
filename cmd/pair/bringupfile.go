package pair

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"highwater/internal/bringup"
	"highwater/internal/config"
	"highwater/internal/durable"
	"highwater/internal/hints"
	"highwater/store"
)

// recordName is the file of the bring-up's record in the state directory. Nothing about signing is decided by it.
const recordName = "bring-up.json"

func recordPath(cfg *config.Config) string { return filepath.Join(cfg.StateDir, recordName) }

// loadRecord reads the record; false when there is none.
func loadRecord(cfg *config.Config) (*bringup.Record, bool, error) {
	path := recordPath(cfg)
	text, err := durable.Read(path, bringup.MaxSize, "a bring-up's record")
	if errors.Is(err, os.ErrNotExist) {
		return nil, false, nil
	}
	if errors.Is(err, os.ErrPermission) {
		return nil, false, hints.Add(err, store.AccessHint(err))
	}
	if err != nil {
		return nil, false, err
	}
	r, err := bringup.Parse(text)
	if err != nil {
		return nil, false, hints.Add(fmt.Errorf("%s: %w", path, err), "it holds the report of a bring-up and nothing else: move it away, and go through the checklist again")
	}
	return r, true, nil
}

// openRecord reads the record, or begins one.
func openRecord(cfg *config.Config) (*bringup.Record, error) {
	r, ok, err := loadRecord(cfg)
	if err == nil && !ok {
		r = bringup.New(cfg.Chain, time.Now())
	}
	return r, err
}

// saveRecord makes the record durable. Before there is a state directory there is nothing to keep.
func saveRecord(cfg *config.Config, r *bringup.Record) error {
	if _, err := os.Stat(cfg.StateDir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	text, err := bringup.Encode(r)
	if err != nil {
		return err
	}
	if err := durable.Replace(recordPath(cfg), text); err != nil {
		return hints.Add(fmt.Errorf("the report cannot be kept: %w", err), store.AccessHint(err))
	}
	return nil
}
