package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
)

// ballast is the size of the file that the writer of the saturated disk writes and syncs again and again.
const ballast = 200 << 20

// saturated is the disk that the writer keeps busy.
var saturated = diskKind{size: 1 << 30, rate: 100 << 20}

// Cells at a baker's pace, each measured in a child process with its own mounts.
const (
	cellStalled   = "stalled"
	cellSaturated = "saturated"
)

// saturate writes and syncs until ctx ends.
func saturate(ctx context.Context, path string) error {
	f, err := os.Create(path) //nolint:gosec // our own directory
	if err != nil {
		return err
	}
	block := make([]byte, 1<<20)
	for ctx.Err() == nil && err == nil {
		for at := int64(0); at < ballast && err == nil && ctx.Err() == nil; at += int64(len(block)) {
			_, err = f.WriteAt(block, at)
		}
		err = errors.Join(err, f.Sync())
	}
	return errors.Join(err, f.Close())
}

// measureCell measures a cell in a child process. The first error tells why this machine cannot make the disks.
func (o options) measureCell(ctx context.Context, cell string) (out []paced, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-cell", cell, "-dir", o.dir, "-highwater", o.binary, //nolint:gosec // ours
		"-runtime", o.runtime, "-pace", o.pace.String(), "-level", o.level.String())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGTERM}
	var text, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &said
	if err = cmd.Run(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, bytes.TrimSpace(said.Bytes()))
	}
	err = json.Unmarshal(text.Bytes(), &out)
	return out, err
}

// child is the child process of a cell.
func (o options) child(ctx context.Context, cell string, stdout io.Writer) error {
	if cell == cellAwake {
		return stayAwake(ctx)
	}
	if _, err := tool(ctx, "mount", "--make-rprivate", "/"); err != nil {
		return err
	}
	sleep, err := keepAwake(ctx)
	if err != nil {
		return err
	}
	defer sleep()
	var all []*paced
	switch cell {
	case cellStalled:
		all, err = o.measurePaced(ctx, o.dir, stalled, o.pace, func() {}, func() {})
	case cellSaturated:
		all, err = o.measureSaturated(ctx)
	default:
		err = fmt.Errorf("no cell is named %q", cell)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(all)
}

// measureSaturated measures beside a writer.
func (o options) measureSaturated(ctx context.Context) (all []*paced, err error) {
	at, err := mountDisk(ctx, o.dir, saturated)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unmount(ctx, at)) }()
	writing, stop := context.WithCancel(ctx)
	var writer sync.WaitGroup
	var wrote error
	begin := func() { writer.Go(func() { wrote = saturate(writing, filepath.Join(at, "ballast")) }) }
	end := func() {
		stop()
		writer.Wait()
	}
	defer end()
	all, err = o.measurePaced(ctx, at, busy, o.pace, begin, end)
	return all, errors.Join(err, wrote)
}
