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
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// A disk of diskRate with its own file system, and a writer that syncs ballast again and again.
const (
	diskRate = 100 << 20 // bytes a second
	diskSize = 1 << 30
	ballast  = 200 << 20
)

// throttled is a file in a file system of its own (FUSE) with the bandwidth diskRate. Below a loop device the file is a
// disk. Requests are served in order.
type throttled struct {
	fs.Inode
	file *os.File

	mu   sync.Mutex
	free time.Time // end of all accepted work
}

// pass waits for the time of n more bytes.
func (d *throttled) pass(n int) {
	d.mu.Lock()
	if now := time.Now(); d.free.Before(now) {
		d.free = now
	}
	d.free = d.free.Add(time.Duration(n) * time.Second / diskRate)
	until := d.free
	d.mu.Unlock()
	<-time.After(time.Until(until))
}

// Getattr, Open, Read, Write and Fsync are the calls of the loop device.
func (d *throttled) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode, out.Size = 0o600, diskSize
	return 0
}

// Open lets the kernel cache nothing.
func (d *throttled) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_DIRECT_IO, 0
}

func (d *throttled) Read(_ context.Context, _ fs.FileHandle, dest []byte, offset int64) (
	fuse.ReadResult, syscall.Errno,
) {
	d.pass(len(dest))
	n, err := d.file.ReadAt(dest, offset)
	if n == 0 && err != nil {
		return nil, fs.ToErrno(err)
	}
	return fuse.ReadResultData(dest[:n]), 0
}

func (d *throttled) Write(_ context.Context, _ fs.FileHandle, data []byte, offset int64) (uint32, syscall.Errno) {
	d.pass(len(data))
	n, err := d.file.WriteAt(data, offset)
	return uint32(n), fs.ToErrno(err) //nolint:gosec // not negative
}

// Fsync waits for all earlier calls.
func (d *throttled) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	d.pass(0)
	return 0
}

// mountThrottled makes the disk in a directory, and mounts an ext4. Everything goes with this process's mounts.
func mountThrottled(ctx context.Context, dir string) (at string, err error) {
	d := &throttled{}
	if d.file, err = os.OpenFile(filepath.Join(dir, "image"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil { //nolint:gosec // our own
		return "", err
	}
	if err = d.file.Truncate(diskSize); err != nil {
		return "", err
	}
	below := filepath.Join(dir, "below")
	at = filepath.Join(dir, "disk")
	if err = errors.Join(os.Mkdir(below, 0o700), os.Mkdir(at, 0o700)); err != nil {
		return "", err
	}
	if _, err = tool(ctx, "mkfs.ext4", "-q", "-b", "4096", d.file.Name()); err != nil {
		return "", err
	}
	root := &fs.Inode{}
	_, err = fs.Mount(below, root, &fs.Options{
		OnAdd: func(ctx context.Context) {
			root.AddChild("disk", root.NewPersistentInode(ctx, d, fs.StableAttr{Mode: fuse.S_IFREG}), true)
		},
		MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "throttled", Name: "bench", MaxWrite: 512 << 10},
	})
	if err != nil {
		return "", err
	}
	loop, err := tool(ctx, "losetup", "--find", "--show", "--direct-io=on", "--sector-size", "4096",
		filepath.Join(below, "disk"))
	if err != nil {
		return "", err
	}
	_, err = tool(ctx, "mount", loop, at)
	_, detached := tool(ctx, "losetup", "--detach", loop) // at the unmount
	return at, errors.Join(err, detached)
}

func tool(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput() //nolint:gosec // ours
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return strings.TrimSpace(string(out)), err
}

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

// measureBusy measures on a saturated disk, in a child process with its own mounts. The first error tells why this
// machine cannot make the disk.
func (o options) measureBusy(ctx context.Context) (out []paced, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-busy", "-dir", o.dir, "-highwater", o.binary, "-runtime", o.runtime, "-pace", o.pace.String(), "-level", o.level.String()) //nolint:gosec // ours
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGTERM}
	var text, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &said
	if err = cmd.Run(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, bytes.TrimSpace(said.Bytes()))
	}
	err = json.Unmarshal(text.Bytes(), &out)
	return out, err
}

// busyChild is the child process.
func (o options) busyChild(ctx context.Context, stdout io.Writer) (err error) {
	if _, err = tool(ctx, "mount", "--make-rprivate", "/"); err != nil {
		return err
	}
	at, err := mountThrottled(ctx, o.dir)
	if err != nil {
		return err
	}
	// After an error, too: this process serves the disk, and could not end while the file system is mounted.
	defer func() {
		_, unmounted := tool(context.WithoutCancel(ctx), "umount", at)
		err = errors.Join(err, unmounted)
	}()
	writing, stop := context.WithCancel(ctx)
	var writer sync.WaitGroup
	var wrote error
	begin := func() { writer.Go(func() { wrote = saturate(writing, filepath.Join(at, "ballast")) }) }
	end := func() {
		stop()
		writer.Wait()
	}
	defer end()
	all, err := o.measurePaced(ctx, at, busy, o.pace, begin, end)
	if err = errors.Join(err, wrote); err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(all)
}
