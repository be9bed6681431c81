package doctor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"highwater/internal/checklist"
)

// syncs is how often a sync is measured; the median counts.
const syncs = 21

// SlowSync is the time above which a sync eats a good part of the time that a device leaves of a round.
const SlowSync = 100 * time.Millisecond

// Sync measures the act that makes a mark durable: an append and an fdatasync, in a file of its own.
func Sync(dir string) checklist.Line {
	median, worst, err := MeasureSync(dir)
	if err != nil {
		return checklist.Failed(checklist.DiskSync, err)
	}
	text := fmt.Sprintf("median %s, worst %s of %d", median.Round(10*time.Microsecond),
		worst.Round(10*time.Microsecond), syncs)
	if median > SlowSync {
		return checklist.New(checklist.DiskSync, checklist.Warning, text,
			"a faster disk for "+dir+" (an SSD, no network file system)")
	}
	return checklist.Good(checklist.DiskSync, "%s", text)
}

// MeasureSync gives the median and the worst time of durable appends in the directory.
func MeasureSync(dir string) (median, worst time.Duration, err error) {
	f, err := os.CreateTemp(dir, ".check-")
	if err != nil {
		return 0, 0, err
	}
	took := make([]time.Duration, 0, syncs)
	block := make([]byte, 4096)
	for range syncs {
		start := time.Now()
		_, werr := f.Write(block)
		if err = errors.Join(werr, unix.Fdatasync(int(f.Fd()))); err != nil {
			break
		}
		took = append(took, time.Since(start))
	}
	if err = errors.Join(err, f.Close(), os.Remove(filepath.Clean(f.Name()))); err != nil {
		return 0, 0, err
	}
	slices.Sort(took)
	return took[len(took)/2], took[len(took)-1], nil
}
