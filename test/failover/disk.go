package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// disk is a file system for one state directory. A power cut takes back everything unsynced: the file system drops its
// cache (EXT4_IOC_SHUTDOWN without a flush, as in the kernel's own power-failure tests), and is mounted again.
type disk struct{ image, at string }

// diskSize is enough for an ext4 with a journal.
const diskSize = 32 << 20

func newDisk(ctx context.Context, dir string) (*disk, error) {
	d := &disk{image: filepath.Join(dir, "disk.img"), at: filepath.Join(dir, "disk")}
	if err := os.Mkdir(d.at, 0o700); err != nil {
		return nil, err
	}
	if err := errors.Join(os.WriteFile(d.image, nil, 0o600), os.Truncate(d.image, diskSize)); err != nil {
		return nil, err
	}
	if err := tool(ctx, "mkfs.ext4", "-q", d.image); err != nil {
		return nil, err
	}
	err := d.mount(ctx)
	return d, err
}

func (d *disk) mount(ctx context.Context) error {
	return tool(ctx, "mount", "-o", "loop", d.image, d.at)
}

// powerOff makes the disk refuse writes, and drop everything unsynced.
func (d *disk) powerOff() error {
	const shutdown, noLogFlush = 0x8004587d, 2 // EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH of fs/ext4/ext4.h
	flags := uint32(noLogFlush)
	f, err := os.Open(d.at)
	if err != nil {
		return err
	}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), shutdown, uintptr(unsafe.Pointer(&flags))) //nolint:gosec // an ioctl with an argument
	if errno != 0 {
		err = fmt.Errorf("shut down %s: %w", d.at, errno)
	}
	return errors.Join(err, f.Close())
}

// powerOn mounts the disk again. No process may use the disk. A process with a copy of all mounts (ip makes a
// short-lived copy) keeps the old file system alive, and a new mount would give the old file system: powerOn then
// waits.
func (d *disk) powerOn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if err := errors.Join(tool(ctx, "umount", d.at), d.mount(ctx)); err != nil {
			return err
		}
		alive := filepath.Join(d.at, "alive")
		err := errors.Join(os.WriteFile(alive, nil, 0o600), os.Remove(alive))
		if err == nil {
			return nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the disk did not come back: %w", err)
		}
	}
}

func (d *disk) close() error { return tool(context.Background(), "umount", d.at) }

func tool(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil { //nolint:gosec // ours
		return fmt.Errorf("%s %v: %w: %s", name, args, err, out)
	}
	return nil
}
