//go:build powercut

package powercut_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// sector is what a disk writes as a whole or not at all.
const sector = 4096

// flushTime is how long the cache needs to write down what it holds. Under load most cuts come in this time.
const flushTime = 2 * time.Millisecond

// cache is what most disks have: memory that holds writes until the host asks for a flush, and forgets them when the
// power goes. It may have written some of them down by then, in an order of its own.
//
// It is a file in a file system of its own (FUSE), below the loop device: reads see every write, kept is what the
// medium has.
type cache struct {
	fs.Inode
	t      *testing.T
	at     string
	server *fuse.Server

	flushing sync.Mutex // one flush at a time
	mu       sync.Mutex
	seen     *os.File // with every write
	kept     *os.File // without those since the last flush
	size     int64
	pending  []cached
	wrote    chan struct{} // something is pending that was not
}

// cached is a sector that was written and not flushed.
type cached struct {
	offset int64
	data   []byte
}

// newCache puts a cache before an image. Its file is at path().
func newCache(t *testing.T, image string) *cache {
	t.Helper()
	c := &cache{t: t, at: filepath.Join(t.TempDir(), "cache"), wrote: make(chan struct{}, 1)}
	require.NoError(t, os.Mkdir(c.at, 0o700))
	var err error
	c.kept, err = os.OpenFile(image, os.O_RDWR, 0)
	require.NoError(t, err)
	info, err := c.kept.Stat()
	require.NoError(t, err)
	c.size = info.Size()
	require.NoError(t, cloneFile(c.kept, image+".seen"))
	c.seen, err = os.OpenFile(image+".seen", os.O_RDWR, 0)
	require.NoError(t, err)
	root := &fs.Inode{}
	c.server, err = fs.Mount(c.at, root, &fs.Options{
		OnAdd: func(ctx context.Context) {
			root.AddChild("disk", root.NewPersistentInode(ctx, c, fs.StableAttr{Mode: fuse.S_IFREG}), true)
		},
		MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "cache", Name: "powercut", MaxWrite: 512 << 10},
	})
	require.NoError(t, err)
	return c
}

func (c *cache) path() string { return filepath.Join(c.at, "disk") }

// remove writes everything down, as a disk does that is shut down in order, and goes away.
func (c *cache) remove() {
	c.t.Helper()
	// Once the loop device has let go.
	require.Eventually(c.t, func() bool { return c.server.Unmount() == nil }, patience, 10*time.Millisecond)
	c.server.Wait()
	require.Zero(c.t, c.flush())
	require.NoError(c.t, c.seen.Close())
	require.NoError(c.t, c.kept.Close())
	require.NoError(c.t, os.Remove(c.seen.Name()))
}

// Getattr, Open, Read, Write and Fsync are what the loop device asks for.
func (c *cache) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode, out.Size = 0o600, uint64(c.size)
	return 0
}

func (c *cache) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_DIRECT_IO, 0 // the kernel caches nothing of it
}

func (c *cache) Read(_ context.Context, _ fs.FileHandle, dest []byte, offset int64) (fuse.ReadResult, syscall.Errno) {
	n, err := c.seen.ReadAt(dest, offset)
	if n == 0 && err != nil {
		return nil, fs.ToErrno(err)
	}
	return fuse.ReadResultData(dest[:n]), 0
}

func (c *cache) Write(_ context.Context, _ fs.FileHandle, data []byte, offset int64) (uint32, syscall.Errno) {
	if offset%sector != 0 || len(data)%sector != 0 {
		return 0, syscall.EINVAL // no disk of such sectors can do it
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.seen.WriteAt(data, offset); err != nil {
		return 0, fs.ToErrno(err)
	}
	for part := range slices.Chunk(slices.Clone(data), sector) {
		c.pending = append(c.pending, cached{offset, part})
		offset += sector
	}
	select {
	case c.wrote <- struct{}{}:
	default:
	}
	return uint32(len(data)), 0
}

func (c *cache) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno { return c.flush() }

// flush writes down what had been written when it began.
func (c *cache) flush() syscall.Errno {
	c.flushing.Lock()
	defer c.flushing.Unlock()
	c.mu.Lock()
	begun := len(c.pending)
	c.mu.Unlock()
	<-time.After(flushTime)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := writeDown(c.kept, c.pending[:begun]); err != nil {
		return fs.ToErrno(err)
	}
	c.pending = slices.Clone(c.pending[begun:])
	return 0
}

func writeDown(f *os.File, sectors []cached) error {
	for _, s := range sectors {
		if _, err := f.WriteAt(s.data, s.offset); err != nil {
			return err
		}
	}
	return nil
}

// clone makes what the medium holds when the power goes now: everything that was flushed, and of the rest what a fate
// lets it keep. Now is soon after a write, if there is one soon: a disk that is idle loses nothing.
func (c *cache) clone(name string, fate fate) {
	c.t.Helper()
	select {
	case <-c.wrote: // it may have been flushed since
	default:
	}
	select {
	case <-c.wrote:
		<-time.After(rand.N(flushTime))
	case <-time.After(20 * flushTime):
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	require.NoError(c.t, cloneFile(c.kept, name))
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	require.NoError(c.t, err)
	kept := fate.keep(c.pending)
	require.NoError(c.t, writeDown(f, kept))
	require.NoError(c.t, f.Close())
	c.t.Logf("%s: %d sectors not flushed, %d of them kept (%s)", filepath.Base(name), len(c.pending), len(kept), fate.name)
}

// fate is what becomes of sectors that were not flushed.
type fate struct {
	name string
	keep func([]cached) []cached
}

// fates, one for each cut in turn. In the last two, and in none of the others, what was written later may be there
// without what was written earlier.
var fates = []fate{
	{"none", func([]cached) []cached { return nil }},
	{"all", func(s []cached) []cached { return s }},
	{"the first", func(s []cached) []cached { return s[:rand.IntN(len(s)+1)] }},
	{"the last", func(s []cached) []cached { return s[rand.IntN(len(s)+1):] }},
	{"some", func(s []cached) (kept []cached) {
		for _, one := range s {
			if rand.IntN(2) == 0 {
				kept = append(kept, one)
			}
		}
		return kept
	}},
}

// cloneFile makes a file that shares its content with another one (FICLONE): on XFS at once, and atomic with respect to
// writes.
func cloneFile(from *os.File, name string) error {
	to, err := os.Create(name)
	if err != nil {
		return err
	}
	if err = unix.IoctlFileClone(int(to.Fd()), int(from.Fd())); err != nil {
		err = fmt.Errorf("clone %s: %w", from.Name(), err)
	}
	return errors.Join(err, to.Close())
}
