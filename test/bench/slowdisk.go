package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

// diskKind is the speed of a made disk.
type diskKind struct {
	size  int64
	rate  int           // bytes a second; 0: no limit
	stall time.Duration // added to each flush
	plain bool          // without a journal: each sync of a file is one flush
}

// slowDisk is a file in a file system of its own (FUSE). Below a loop device the file is a disk, with the speed of its
// kind. No process is traced: strace alone would make a request 5 ms slower.
type slowDisk struct {
	fs.Inode
	diskKind
	file *os.File

	mu   sync.Mutex
	free time.Time // end of all accepted work
}

// pass waits for the time of n more bytes. Requests are served in order.
func (d *slowDisk) pass(n int) {
	if d.rate == 0 {
		return
	}
	d.mu.Lock()
	if now := time.Now(); d.free.Before(now) {
		d.free = now
	}
	d.free = d.free.Add(time.Duration(n) * time.Second / time.Duration(d.rate))
	until := d.free
	d.mu.Unlock()
	<-time.After(time.Until(until))
}

// Getattr, Open, Read, Write and Fsync are the calls of the loop device.
func (d *slowDisk) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode, out.Size = 0o600, uint64(d.size) //nolint:gosec // not negative
	return 0
}

// Open lets the kernel cache nothing.
func (d *slowDisk) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_DIRECT_IO, 0
}

func (d *slowDisk) Read(_ context.Context, _ fs.FileHandle, dest []byte, offset int64) (
	fuse.ReadResult, syscall.Errno,
) {
	d.pass(len(dest))
	n, err := d.file.ReadAt(dest, offset)
	if n == 0 && err != nil {
		return nil, fs.ToErrno(err)
	}
	return fuse.ReadResultData(dest[:n]), 0
}

func (d *slowDisk) Write(_ context.Context, _ fs.FileHandle, data []byte, offset int64) (uint32, syscall.Errno) {
	d.pass(len(data))
	n, err := d.file.WriteAt(data, offset)
	return uint32(n), fs.ToErrno(err) //nolint:gosec // not negative
}

// Fsync waits for all earlier calls, and stalls.
func (d *slowDisk) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	d.pass(0)
	if d.stall > 0 {
		<-time.After(d.stall)
	}
	return 0
}

// mountDisk makes a disk in a new directory below dir, and mounts an ext4. The process's own mounts keep the disk.
func mountDisk(ctx context.Context, dir string, kind diskKind) (at string, err error) {
	if dir, err = os.MkdirTemp(dir, "disk-"); err != nil {
		return "", err
	}
	d := &slowDisk{diskKind: kind}
	if d.file, err = os.OpenFile(filepath.Join(dir, "image"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil { //nolint:gosec // our own
		return "", err
	}
	if err = d.file.Truncate(d.size); err != nil {
		return "", err
	}
	below := filepath.Join(dir, "below")
	at = filepath.Join(dir, "at")
	if err = errors.Join(os.Mkdir(below, 0o700), os.Mkdir(at, 0o700)); err != nil {
		return "", err
	}
	format := []string{"-q", "-b", "4096"}
	if kind.plain {
		format = append(format, "-O", "^has_journal")
	}
	if _, err = tool(ctx, "mkfs.ext4", append(format, d.file.Name())...); err != nil {
		return "", err
	}
	root := &fs.Inode{}
	_, err = fs.Mount(below, root, &fs.Options{
		OnAdd: func(ctx context.Context) {
			root.AddChild("disk", root.NewPersistentInode(ctx, d, fs.StableAttr{Mode: fuse.S_IFREG}), true)
		},
		MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "slow", Name: "bench", MaxWrite: 512 << 10},
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

// unmount ends the use of a disk. The process serves its disks, and could not end while one is mounted.
func unmount(ctx context.Context, at string) error {
	_, err := tool(context.WithoutCancel(ctx), "umount", at)
	return err
}

func tool(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput() //nolint:gosec // ours
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return strings.TrimSpace(string(out)), err
}
