package bringup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"highwater/internal/config"
	"highwater/internal/durable"
	"highwater/internal/hints"
	"highwater/store/disk"
)

// recordFile is the record of the bring-up, in the state directory. No decision about signing reads the record.
const recordFile = "bring-up.json"

// RecordPath is where the record is kept.
func RecordPath(cfg *config.Config) string { return filepath.Join(cfg.StateDir, recordFile) }

// LoadRecord reads the record; false without a record.
func LoadRecord(cfg *config.Config) (*Record, bool, error) {
	path := RecordPath(cfg)
	text, err := durable.Read(path, MaxSize, "a bring-up's record")
	if errors.Is(err, os.ErrNotExist) {
		return nil, false, nil
	}
	if errors.Is(err, os.ErrPermission) {
		return nil, false, hints.Add(err, disk.AccessHint(err))
	}
	if err != nil {
		return nil, false, err
	}
	r, err := Parse(text)
	if err != nil {
		return nil, false, hints.Add(fmt.Errorf("%s: %w", path, err),
			"the file holds only the report of a bring-up: move the file away, and go through the checklist again")
	}
	return r, true, nil
}

// OpenRecord reads the record, or begins a new record.
func OpenRecord(cfg *config.Config) (*Record, error) {
	r, ok, err := LoadRecord(cfg)
	if err == nil && !ok {
		r = New(cfg.Chain, time.Now())
	}
	return r, err
}

// SaveRecord makes the record durable. Without a state directory, SaveRecord keeps nothing.
func SaveRecord(cfg *config.Config, r *Record) error {
	if _, err := os.Stat(cfg.StateDir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	text, err := Encode(r)
	if err != nil {
		return err
	}
	if err := durable.Replace(RecordPath(cfg), text); err != nil {
		return hints.Add(fmt.Errorf("the report cannot be kept: %w", err), disk.AccessHint(err))
	}
	return nil
}
