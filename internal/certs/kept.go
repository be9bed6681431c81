// Package certs reads TLS certificates from files, and reads the files again when they change.
package certs

import (
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// settled is the least age of a file with a sure next change of its times: the kernel counts file times in ticks.
	settled = 100 * time.Millisecond
	// patience is the time for a replacement of several files, before a fault is told.
	patience = time.Second
)

// kept is the content of some files, read again after a change of any. A bad content never takes the place of a good
// content.
type kept[T any] struct {
	setting string // of the first file
	files   []string
	read    func() (T, error)
	better  func(have, next T, now time.Time) error // nil error: next may take the place of have
	log     *slog.Logger

	mu    sync.Mutex
	value T
	seen  []stamp   // of the files, taken before the last reading
	sure  bool      // a later change of a file changes its stamp
	tried time.Time // the last reading
	fault error     // of the last reading; nil: value is the content of the files
	told  bool      // the log has the fault
}

// first reads the files for the first time.
func (k *kept[T]) first(now time.Time) (err error) {
	k.stamp(now)
	k.value, err = k.read()
	return err
}

// look gives the content of the files, or the former content while the files are bad. again: the files are read
// without a change too, and a fault is told at once.
func (k *kept[T]) look(now time.Time, again bool) T {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !again && !k.due(now) {
		return k.value
	}
	faulty := k.fault != nil
	k.stamp(now)
	next, err := k.read()
	if err == nil {
		err = k.better(k.value, next, now)
	}
	if err == nil {
		k.value = next
	}
	k.fault = err
	k.tell(again || faulty)
	return k.value
}

// due tells whether to read the files: after a change, after a possible unnoticed change, and after a failed reading.
// Readings of bad files keep a distance: each connection asks, and a reading may be costly.
func (k *kept[T]) due(now time.Time) bool {
	if k.fault != nil {
		return now.Sub(k.tried) >= patience || now.Before(k.tried)
	}
	return !k.sure || !slices.Equal(k.seen, stamps(k.files))
}

func (k *kept[T]) stamp(now time.Time) {
	k.seen, k.tried, k.sure = stamps(k.files), now, true
	for _, s := range k.seen {
		k.sure = k.sure && now.Sub(s.changed) > settled
	}
}

// tell logs a fault once, and its end. The first reading may meet files in the middle of their replacement, and is not
// loud.
func (k *kept[T]) tell(loud bool) {
	switch {
	case k.fault != nil && loud && !k.told:
		k.told = true
		k.log.Error("certificate not taken: the former certificate stays in use", "setting", k.setting, "error", k.fault,
			"hint", "mend the files; no restart is needed")
	case k.fault == nil && k.told:
		k.told = false
		k.log.Info("certificate taken: the files are good again", "setting", k.setting)
	case k.fault == nil:
		k.log.Debug("certificate read", "setting", k.setting)
	}
}

// state gives the content in use, and the reason why the files are not.
func (k *kept[T]) state() (T, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.value, k.fault
}

// stamp tells one state of a file from another. Symbolic links are followed: a swapped link leads to another inode.
type stamp struct {
	dev, inode uint64
	size       int64
	changed    time.Time // content, owner, mode or name
	missing    bool
}

func stamps(files []string) []stamp {
	out := make([]stamp, 0, len(files))
	for _, f := range files {
		out = append(out, stampOf(f))
	}
	return out
}

func stampOf(file string) stamp {
	var st unix.Stat_t
	if err := unix.Stat(file, &st); err != nil {
		return stamp{missing: true}
	}
	return stamp{
		dev: uint64(st.Dev), inode: st.Ino, size: st.Size, //nolint:unconvert // signed on other systems
		changed: time.Unix(st.Ctim.Unix()),
	}
}
