package doctor

import (
	"golang.org/x/sys/unix"

	"highwater/internal/checklist"
	"highwater/internal/config"
	"highwater/store/bootmarks"
)

// unfit are file systems unfit for a state directory, by the magic number of statfs(2).
var unfit = map[uint32]struct{ name, why string }{
	unix.TMPFS_MAGIC:           {"tmpfs", inMemory},
	unix.RAMFS_MAGIC:           {"ramfs", inMemory},
	unix.OVERLAYFS_SUPER_MAGIC: {"overlay", "a container's own layer, lost with the container"},
	unix.NFS_SUPER_MAGIC:       {"NFS", network},
	unix.SMB_SUPER_MAGIC:       {"SMB", network},
	unix.SMB2_SUPER_MAGIC:      {"SMB", network},
	unix.CIFS_SUPER_MAGIC:      {"CIFS", network},
	unix.CEPH_SUPER_MAGIC:      {"Ceph", network},
	unix.AFS_SUPER_MAGIC:       {"AFS", network},
	unix.AFS_FS_MAGIC:          {"AFS", network},
	unix.CODA_SUPER_MAGIC:      {"Coda", network},
	unix.NCP_SUPER_MAGIC:       {"NCP", network},
	unix.OCFS2_SUPER_MAGIC:     {"OCFS2", network},
	unix.V9FS_MAGIC:            {"9p", "a directory of another machine: a sync may not reach a disk"},
	unix.FUSE_SUPER_MAGIC:      {"FUSE", "a file system of a program: a sync may not reach a disk"},
}

const (
	inMemory = "in memory: the watermarks are gone after a restart of the machine"
	network  = "on the network: a sync may not reach a disk, and two machines could open one state directory"
)

// checkFileSystem warns of a file system in memory or on a network. Nil for a missing directory: StateDir reports a
// missing directory.
func checkFileSystem(dir string) []checklist.Line {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return nil
	}
	return []checklist.Line{judgeFileSystem(dir, uint32(fs.Type))} //nolint:gosec // the magic numbers have 32 bits; some platforms extend the sign
}

func judgeFileSystem(dir string, magic uint32) checklist.Line {
	if fs, ok := unfit[magic]; ok {
		return checklist.New(checklist.FileSystem, checklist.Warning, dir+" is on "+fs.name+": "+fs.why,
			"stop, move the directory to a local disk (a volume, in a container), and set state_dir")
	}
	return checklist.Good(checklist.FileSystem, "%s is on a local disk, as far as the kernel tells", dir)
}

// checkRuntime tells the cost of a killed process.
func checkRuntime(cfg *config.Config) checklist.Line {
	const name = checklist.LevelsAhead
	if cfg.Store.Levels() == 0 {
		return checklist.Good(name, "off: each signature waits for the disk")
	}
	dir := cfg.RuntimeDir()
	if err := bootmarks.Check(dir); err != nil {
		return checklist.New(name, checklist.Warning,
			dir+": "+err.Error()+". A killed process costs as much as a power cut: the levels ahead",
			"set runtime_dir in [store] to this user's own directory on a tmpfs, like /run/highwater")
	}
	return checklist.Good(name, "%d; a killed process costs none, by %s", cfg.Store.Levels(), dir)
}
