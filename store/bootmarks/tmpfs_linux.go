package bootmarks

import (
	"encoding/hex"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"highwater/store/disk"
)

// tmpfsStat is the kernel's word on a file on a tmpfs.
type tmpfsStat struct {
	id      disk.FileID
	changed int64 // nanoseconds; no program can set the time of a change
	ours    bool  // a plain file of the user, under a single name
}

// statTmpfs fails with errNoTmpfs for a file on anything else.
func statTmpfs(f *os.File) (tmpfsStat, error) {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fs); err != nil {
		return tmpfsStat{}, os.NewSyscallError("fstatfs", err)
	}
	if int64(fs.Type) != unix.TMPFS_MAGIC { //nolint:unconvert // narrower elsewhere
		return tmpfsStat{}, errNoTmpfs
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return tmpfsStat{}, os.NewSyscallError("fstat", err)
	}
	ours := st.Mode&unix.S_IFMT == unix.S_IFREG && st.Nlink == 1 && int(st.Uid) == os.Geteuid() && st.Mode&0o077 == 0
	return tmpfsStat{disk.FileID{Device: uint64(st.Dev), Inode: st.Ino}, st.Ctim.Nano(), ours}, nil //nolint:unconvert // narrower elsewhere
}

// Boot is the number of the present boot; zero when unreadable.
func Boot() (id [16]byte) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return id
	}
	b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(string(text)), "-", ""))
	if err != nil || len(b) != len(id) {
		return [16]byte{}
	}
	return [16]byte(b)
}

// realtime is the kernel's clock for the times of files, in nanoseconds. Reading the clock is no system call.
func realtime() int64 { return time.Now().UnixNano() }
