// Package doctor judges the needs of signing: this machine, its devices, its node, and the status of the instance.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"highwater/internal/checklist"
	"highwater/internal/config"
	"highwater/internal/hints"
	"highwater/store/disk"
)

// Machine looks at everything outside the instance: configuration, listeners, certificates, directories, clock, node
// and buses. Machine changes nothing.
func Machine(ctx context.Context, cfg *config.Config) []checklist.Line {
	out := []checklist.Line{checklist.Good(checklist.Configuration, "%s, chain %s", cfg.Path, cfg.ChainID)}
	dir := StateDir(cfg)
	out = append(out, ConfigMode(cfg.Path))
	out = append(out, checkListeners(cfg)...)
	out = append(append(out, checkTLS(cfg, time.Now())...), dir)
	if dir.Result != checklist.Bad { // StateDir has reported a bad directory already
		out = append(append(out, checkFileSystem(cfg.StateDir)...), Sync(cfg.StateDir))
	}
	out = append(out, checkRuntime(cfg), Clock())
	out = append(out, checkNode(ctx, cfg, time.Now)...)
	return append(out, Buses(cfg)...)
}

// ConfigMode judges the access to the configuration file.
func ConfigMode(path string) checklist.Line {
	if err := config.CheckMode(path); err != nil {
		return checklist.Failed(checklist.Permissions, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return checklist.Failed(checklist.Permissions, err)
	}
	return checklist.Good(checklist.Permissions, "%s is %04o", path, info.Mode().Perm())
}

// StateDir judges the state directory: present, private to this user, and with free space.
func StateDir(cfg *config.Config) checklist.Line {
	dir := cfg.StateDir
	info, err := os.Stat(dir)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			err = hints.Add(fmt.Errorf("the directory %s is missing", dir),
				fmt.Sprintf("is the disk mounted (findmnt -T %s), and is state_dir right? For a new instance: highwater init "+
					"--config %s", dir, cfg.Path))
		}
		return checklist.Failed(checklist.StateDirectory, config.ExplainAccess(err))
	}
	if info.Mode().Perm()&0o077 != 0 {
		return checklist.New(checklist.StateDirectory, checklist.Warning,
			fmt.Sprintf("%s is %04o: further users can look inside", dir, info.Mode().Perm()), "chmod 700 "+dir)
	}
	if err := unix.Access(dir, unix.W_OK); err != nil {
		return checklist.Failed(checklist.StateDirectory,
			&disk.Error{Err: fmt.Errorf("the user cannot write %s: %w", dir, err)})
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return checklist.Failed(checklist.StateDirectory, err)
	}
	const enough = 64 << 20
	if free := fs.Bavail * uint64(fs.Bsize); free < enough { //nolint:gosec // not negative
		return checklist.New(checklist.StateDirectory, checklist.Bad, fmt.Sprintf("%d MiB are free", free>>20),
			"make room: a full disk ends signing")
	}
	return checklist.Good(checklist.StateDirectory, "%s", dir)
}

// Clock wants a clock past the start of 2026. A machine without a battery starts in 1970.
func Clock() checklist.Line {
	if built := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); time.Now().Before(built) {
		return checklist.New(checklist.Clock, checklist.Warning, "the clock shows "+time.Now().UTC().Format(time.RFC3339),
			"run a time service: chrony, or systemd-timesyncd")
	}
	return checklist.Good(checklist.Clock, "%s", time.Now().UTC().Format(time.RFC3339))
}
