package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// describeMachine says where the numbers are from: processor, cores, memory, kernel, and the file system of dir.
func describeMachine(dir string) string {
	var uts unix.Utsname
	kernel := "unknown"
	if unix.Uname(&uts) == nil {
		kernel = unix.ByteSliceToString(uts.Release[:])
	}
	return fmt.Sprintf("%s, %d cores, Linux %s, %s, %s", field("/proc/cpuinfo", "model name"), runtime.NumCPU(), kernel,
		fileSystem(dir),
		runtime.Version())
}

// field is the first "name : value" of a file of proc(5).
func field(path, name string) string {
	f, err := os.Open(path) //nolint:gosec // fixed
	if err != nil {
		return "unknown processor"
	}
	defer f.Close() //nolint:errcheck // only read
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if k, v, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return "unknown processor"
}

// fileSystems are the likely file systems of a state directory (statfs(2)).
var fileSystems = map[int64]string{
	unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs", unix.TMPFS_MAGIC: "tmpfs",
	unix.OVERLAYFS_SUPER_MAGIC: "overlayfs", unix.NFS_SUPER_MAGIC: "nfs", unix.F2FS_SUPER_MAGIC: "f2fs", 0x2fc12fc1: "zfs",
}

func fileSystem(dir string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "unknown file system"
	}
	if name, ok := fileSystems[st.Type]; ok {
		return name
	}
	return fmt.Sprintf("file system %#x", st.Type)
}

// processorTime is the processor time of a process up to now, user and system; zero when unknown.
func processorTime(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	return parseProcessorTime(string(text))
}

// clockTick is the unit of /proc/PID/stat on every Linux that Go runs on (sysconf _SC_CLK_TCK).
const clockTick = 10 * time.Millisecond

// parseProcessorTime adds utime and stime, the 14th and 15th field of proc(5); the second may hold spaces.
func parseProcessorTime(stat string) time.Duration {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	const utime, stime = 11, 12 // after the second field
	if len(fields) <= stime {
		return 0
	}
	var ticks int64
	for _, text := range fields[utime : stime+1] {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick
}

// peakRSS is the peak of a process's resident memory, in bytes (VmHWM of proc(5)).
func peakRSS(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return parsePeak(string(text))
}

func parsePeak(status string) (int64, error) {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("no VmHWM in the process's status")
}
