//go:build powercut

// Package powercut_test cuts the power of the real program, and breaks its disk. See docs/testing.md.
package powercut_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// fileSystems are those of the state directory.
var fileSystems = []string{"ext4", "xfs", "btrfs"}

// mkfs is what it takes for sectors of 4096 bytes; the rest is as each comes.
var mkfs = map[string][]string{"ext4": {"-b", "4096"}, "xfs": {"-s", "size=4096"}}

// command is one that the test ends itself: what cleans up runs when the test's context is over.
func command(name string, args ...string) *exec.Cmd {
	return exec.CommandContext(context.Background(), name, args...)
}

// run runs a tool, which must succeed.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %s: %s", name, strings.Join(args, " "), out)
	return strings.TrimSpace(string(out))
}

// mount attaches an image to a loop device and mounts it. The device goes away with the mount, however the test ends.
// With direct the image holds what the file system gave to its disk and nothing else: no page cache lies between them.
func mount(t *testing.T, image, at string, direct bool, options ...string) {
	t.Helper()
	args := []string{"--find", "--show", image}
	if direct {
		// An XFS writes a shared file directly in whole blocks only.
		args = append(args, "--direct-io=on", "--sector-size", fmt.Sprint(sector))
	}
	loop := run(t, "losetup", args...)
	if direct {
		dio, err := os.ReadFile("/sys/block/" + filepath.Base(loop) + "/loop/dio")
		require.NoError(t, err)
		require.Equal(t, "1", strings.TrimSpace(string(dio)), "%s keeps writes in the page cache", loop)
	}
	out, err := command("mount", append(options, loop, at)...).CombinedOutput()
	run(t, "losetup", "--detach", loop) // once it is not mounted any more
	require.NoError(t, err, "mount %s: %s", image, out)
}

// outer is the file system in which the disks' images lie: an XFS, whose clones of a file are atomic with respect to
// its writes.
type outer struct {
	t     *testing.T
	image string
	at    string
}

func newOuter(t *testing.T) *outer {
	t.Helper()
	dir := t.TempDir()
	o := &outer{t: t, image: filepath.Join(dir, "outer.img"), at: filepath.Join(dir, "outer")}
	require.NoError(t, os.Mkdir(o.at, 0o700))
	newImage(t, o.image, 4<<30)
	run(t, "mkfs.xfs", "-q", "-m", "reflink=1", o.image)
	mount(t, o.image, o.at, false)
	t.Cleanup(func() { run(t, "umount", o.at) })
	return o
}

func newImage(t *testing.T, path string, size int64) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(size))
	require.NoError(t, f.Close())
}

// fail makes every read and write of all disks in it fail with an I/O error, from now on (XFS_IOC_GOINGDOWN of
// xfs_fs.h).
func (o *outer) fail() {
	const goingDown, flushLog = 0x8004587d, 1
	flags := uint32(flushLog)
	f, err := os.Open(o.at)
	require.NoError(o.t, err)
	defer f.Close()
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), goingDown, uintptr(unsafe.Pointer(&flags)))
	require.Zero(o.t, errno, "shut down %s: %v", o.at, errno)
}

// repair is after fail; no disk in it may be mounted.
func (o *outer) repair() {
	run(o.t, "umount", o.at)
	mount(o.t, o.image, o.at, false)
}

// disk is a file system in an image, mounted.
type disk struct {
	t      *testing.T
	fs     string
	image  string
	at     string
	cached bool   // it has a cache
	cache  *cache // while it is plugged in
	clones int
	in     bool
}

// diskSize is about the least that mkfs.xfs takes; the images are sparse.
const diskSize = 320 << 20

// newDisk makes a disk in o, with or without a cache.
func newDisk(o *outer, t *testing.T, fs string, cached bool) *disk {
	t.Helper()
	d := &disk{t: t, fs: fs, image: filepath.Join(o.at, fs+".img"), at: filepath.Join(t.TempDir(), "disk"), cached: cached}
	require.NoError(t, os.Mkdir(d.at, 0o700))
	newImage(t, d.image, diskSize)
	run(t, "mkfs."+fs, append(mkfs[fs], "-q", d.image)...)
	d.plug()
	t.Cleanup(func() {
		if d.in {
			d.unplug()
		}
	})
	return d
}

func (d *disk) plug(options ...string) {
	d.t.Helper()
	image := d.image
	if d.cached {
		d.cache = newCache(d.t, d.image)
		image = d.cache.path()
	}
	mount(d.t, image, d.at, true, options...)
	d.in = true
}

func (d *disk) unplug() {
	d.t.Helper()
	run(d.t, "umount", d.at)
	d.in = false
	if d.cached {
		d.cache.remove()
	}
	if d.fs == "btrfs" { // else a clone is taken for an outdated half of the same file system
		run(d.t, "btrfs", "device", "scan", "--forget")
	}
}

// clone makes an image of what the disk will hold if the power goes now.
func (d *disk) clone() string {
	d.t.Helper()
	d.clones++
	name := fmt.Sprintf("%s.%d", strings.TrimSuffix(d.image, filepath.Ext(d.image)), d.clones)
	if d.cached {
		d.cache.clone(name, fates[(d.clones-1)%len(fates)])
		return name
	}
	from, err := os.Open(d.image)
	require.NoError(d.t, err)
	defer from.Close()
	require.NoError(d.t, cloneFile(from, name))
	return name
}

// become puts a clone in the disk's place, as after a power cut: the journal is replayed.
func (d *disk) become(clone string) {
	d.t.Helper()
	d.unplug()
	require.NoError(d.t, os.Remove(d.image))
	d.image = clone
	d.plug()
}

// check lets the file system's own tool look at the disk, which proves that a clone is what a real disk may hold.
func (d *disk) check() {
	d.t.Helper()
	d.unplug()
	switch d.fs {
	case "ext4":
		run(d.t, "e2fsck", "-f", "-n", d.image)
	case "xfs":
		run(d.t, "xfs_repair", "-n", d.image)
	case "btrfs":
		run(d.t, "btrfs", "check", "--readonly", d.image)
	}
	d.plug()
}
