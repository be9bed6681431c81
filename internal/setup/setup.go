// Package setup makes the files of a new instance: a configuration with comments, and an empty watermark file.
package setup

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"highwater/internal/config"
	"highwater/internal/daemon"
	"highwater/internal/terminal"
	"highwater/store"
)

// Config writes a new configuration for the chain, with the connected devices.
func Config(t *terminal.Terminal, path, chain, stateDir string) error {
	stateDir, err := filepath.Abs(stateDir)
	if err != nil {
		return err
	}
	if err = os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // as /etc is
		return err
	}
	found, err := daemon.LookAtBuses()
	if err != nil {
		t.Note("warning: the USB buses could not be looked at: %s", err)
	}
	sayFound(t, found)
	if err = os.WriteFile(path, fmt.Appendf(nil, template, stateDir, chain, deviceBlocks(found)), 0o644); err != nil { //nolint:gosec // the file holds no secret
		return err
	}
	t.Say("wrote a configuration:  %s", path)
	t.Note("hint: look at [[device]] in the file before you go on")
	return nil
}

// sayFound lists the connected devices, with the faults of devices that cannot be used as they are.
func sayFound(t *terminal.Terminal, found []daemon.Connected) {
	for _, c := range found {
		t.Say("found %s", c)
		if c.Finding.Err != nil {
			t.Note("warning: %s", c.Finding.Err)
		}
		if c.Finding.Hint != "" {
			t.Note("hint: %s", c.Finding.Hint)
		}
	}
}

// HasStore tells whether a state directory holds a watermark file.
func HasStore(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, store.FileName))
	return err == nil
}

// Store creates an empty watermark file after the operator's confirmation; yes is that confirmation. An existing file
// stays.
func Store(ctx context.Context, t *terminal.Terminal, cfg *config.Config, yes bool) error {
	file := filepath.Join(cfg.StateDir, store.FileName)
	if HasStore(cfg.StateDir) {
		t.Say("kept the watermark file: %s", file)
		return nil
	}
	question := fmt.Sprintf("The command creates a new, empty watermark file in %s. The new file knows no earlier "+
		"signature.\n"+
		"If a watermark file existed before: is the disk mounted?\n"+
		"Did the keys ever sign with a different state directory? Bring the old directory instead, or import the old marks.",
		cfg.StateDir)
	if err := t.Confirm(yes, question, "create"); err != nil {
		return err
	}
	if err := store.Create(ctx, cfg.StateDir, time.Now()); err != nil {
		return daemon.ExplainStore(cfg, err)
	}
	t.Say("created the watermark file: %s", file)
	return nil
}
