package disk

import (
	"os"

	"golang.org/x/sys/unix"
)

// dropCache lets the kernel forget a file's clean pages (posix_fadvise(2)).
func dropCache(f *os.File) error {
	return os.NewSyscallError("fadvise", unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED))
}
