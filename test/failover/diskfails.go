package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"highwater/hwm"
	"highwater/operate"
)

// diskFault is an error that the kernel gives a process about its disk.
type diskFault struct{ what, inject string }

// diskFaults: a failing sync, a full disk, and a read-only file system.
var diskFaults = []diskFault{
	{"a failing sync", "fsync,fdatasync:error=EIO"},
	{"no space", "pwrite64:error=ENOSPC"},
	{"a read-only file system", "pwrite64:error=EROFS"},
}

// exitDisk is the exit status of a daemon whose disk failed.
const exitDisk = 3

// breakDisk makes each further write or sync of a side's process fail, and waits until strace is ready.
func (s *side) breakDisk(ctx context.Context, f diskFault) (*tracer, error) {
	calls, _, _ := strings.Cut(f.inject, ":")
	return trace(ctx, s.PID(), calls, f.inject)
}

// diskFails breaks the disk of the signing side, then the disk of the backup, in each way.
func diskFails(ctx context.Context, w *world) error {
	signs := w.a
	for _, f := range diskFaults {
		if err := w.primaryDiskFails(ctx, signs, f); err != nil {
			return fmt.Errorf("%s on the signing side %s: %w", f.what, signs, err)
		}
		signs = w.other(signs)
		if err := w.backupDiskFails(ctx, signs, f); err != nil {
			return fmt.Errorf("%s on %s, the backup: %w", f.what, w.other(signs), err)
		}
	}
	w.result.note("%d faults on either side", len(diskFaults))
	return nil
}

// primaryDiskFails: the process ends with its reason, and the peer takes over. After any restart the side is the
// backup.
func (w *world) primaryDiskFails(ctx context.Context, s *side, f diskFault) error {
	t, err := s.breakDisk(ctx, f)
	if err != nil {
		return err
	}
	began := time.Now()
	if err = errors.Join(s.AwaitExit(ctx, exitDisk), t.end()); err != nil {
		return err
	}
	s.running.Store(false)
	w.result.note("%s: the process of %s ended after %s", f.what, s, time.Since(began).Round(time.Millisecond))
	text, err := os.ReadFile(s.Log)
	if err == nil && !strings.Contains(string(text), "alarm=disk") {
		err = errors.New("the log has no alarm")
	}
	if err = errors.Join(err, w.takeover(ctx, w.other(s), "--silence", "1")); err != nil {
		return err
	}
	since := time.Now()
	return errors.Join(s.up(ctx), w.standsBy(ctx, s), w.follows(ctx, s), w.signedNothing(s, since))
}

// backupDiskFails: the signing side is restarted meanwhile, and goes on. The backup's process ends; once its disk
// works, the backup follows again.
func (w *world) backupDiskFails(ctx context.Context, signs *side, f diskFault) error {
	backup := w.other(signs)
	t, err := backup.breakDisk(ctx, f)
	if err != nil {
		return err
	}
	err = w.says(ctx, backup, "reports its failing disk",
		func(st operate.Status) bool { return st.Store != "ok" && st.Role.Role == hwm.Standby })
	err = errors.Join(err, signs.kill(), signs.up(ctx), w.signs(ctx, signs))
	err = errors.Join(err, w.says(ctx, signs, "reports a missing backup", func(st operate.Status) bool {
		return st.Signing && st.Pair.Peer.Broken != "" && strings.Contains(st.Pair.Waiting, "no backup")
	}))
	if err = errors.Join(err, t.end()); err != nil {
		return err
	}
	if err = backup.AwaitExit(ctx, exitDisk); err != nil {
		return err
	}
	backup.running.Store(false)
	return errors.Join(backup.up(ctx), w.follows(ctx, backup), w.signs(ctx, signs))
}

// trace attaches strace to a process, and waits until strace is ready.
func trace(ctx context.Context, pid int, calls, inject string) (*tracer, error) {
	r, said, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "strace", "-f", "-o", "/dev/null", "-e", "trace="+calls, "-e", "inject="+inject, //nolint:gosec // ours
		"-p", fmt.Sprint(pid))
	cmd.Stderr = said
	err = errors.Join(cmd.Start(), said.Close())
	if err == nil {
		err = attached(r)
	}
	return &tracer{cmd, r}, err
}
