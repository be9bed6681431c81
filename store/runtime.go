package store

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"highwater/hwm"
)

// The runtime file holds every exact mark on a tmpfs, where the marks outlive a killed process and not the boot. The
// file is never synced. Its content is believed only when all of this holds:
//
//	the file system is a tmpfs           on a disk an older state of the file can outlive a power cut
//	the boot is this one                 its number is in each record
//	the session is that of the last run  which made its number durable before anything was signed under a horizon
//	the file is the one that was written its device and inode are in each record: a copy is another file
//	nobody changed it afterwards         the kernel's time of the last change is that of the newest record: a file that was put back is older inside
//	each record is whole                 by its checksum
//	no record is below the disk's mark   and every kind of the key that has a mark has a record
//
// Otherwise the horizon is the floor.
//
// A record: version 1 · session 8 · boot 16 · device 8 · inode 8 · nanoseconds 8 · key 26 · mark 152 · zeros ·
// CRC-32C 4. Records do not cross pages: a kill tears none.
const (
	recordSize     = 256
	runtimeVersion = 1
	idLen          = 1 + 8 + 16 + 8 + 8
	stampAt        = idLen
	keyAt          = stampAt + 8
	keySize        = 26
	markAt         = keyAt + keySize
	markSize       = hwm.MarkRecordLen
	sumAt          = recordSize - 4
	maxRecords     = 1 << 16
)

// stampSlack is how far the time in a record and the kernel's time of that change may lie apart: the kernel counts in ticks.
const stampSlack = 20 * time.Millisecond

// stampTries is how often a record is written anew when the clock moved too far meanwhile: the process was put aside.
const stampTries = 3

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// runtimeFile is the file of this run. Everything in it is under db.mu.
type runtimeFile struct {
	file  *os.File
	id    [idLen]byte
	slots map[hwm.Key]int64
	buf   [recordSize]byte
}

// fileID tells a file on this boot from every other.
type fileID struct{ device, inode uint64 }

func recordID(s sessionRecord, f fileID) (id [idLen]byte) {
	id[0] = runtimeVersion
	binary.BigEndian.PutUint64(id[1:], s.id)
	copy(id[9:], s.boot[:])
	binary.BigEndian.PutUint64(id[25:], f.device)
	binary.BigEndian.PutUint64(id[33:], f.inode)
	return id
}

// runtimePath is the file of this state directory in the runtime directory, empty without a runtime directory. The
// name is made of the instance and of the state directory's path: two state directories can share a runtime
// directory.
func (db *DB) runtimePath() string {
	if db.runtimeDir == "" {
		return ""
	}
	dir := filepath.Dir(db.path)
	if direct, err := filepath.EvalSymlinks(dir); err == nil {
		dir = direct
	}
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	id := db.Instance()
	sum := sha256.Sum256(append(id[:], dir...))
	return filepath.Join(db.runtimeDir, "marks-"+hex.EncodeToString(sum[:8]))
}

// beginRuntime makes the file of this run, with every mark in it. Without the file the run signs all the same: a kill
// costs as much as a power cut. The caller holds db.mu.
func (db *DB) beginRuntime() {
	path := db.runtimePath()
	if path == "" || db.ahead == 0 {
		return
	}
	r, err := createRuntime(path, db.session, db.marks)
	if err != nil {
		db.noRuntime(err)
		return
	}
	db.runtime = r
}

func createRuntime(path string, s sessionRecord, marks map[hwm.Key]*entry) (*runtimeFile, error) {
	if s.boot == ([16]byte{}) {
		return nil, errNoBoot
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode) //nolint:gosec // the operator's own path
	if err != nil {
		return nil, err
	}
	st, err := statTmpfs(f)
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	r := &runtimeFile{file: f, id: recordID(s, st.id), slots: map[hwm.Key]int64{}}
	for _, e := range marks {
		if err := r.put(e); err != nil {
			return nil, errors.Join(err, f.Close(), os.Remove(path))
		}
	}
	return r, nil
}

// put writes the record of a mark, and sees that its time is the kernel's: the kernel takes its time between the two
// looks at the clock, or up to a tick of 10 ms before the first, since the time of files moves in ticks. So the times
// lie at most stampSlack apart, and neither the clock nor the file is asked for by a system call of its own.
func (r *runtimeFile) put(e *entry) error {
	slot, ok := r.slots[e.key]
	if !ok {
		slot = int64(len(r.slots))
		r.slots[e.key] = slot
	}
	for range stampTries {
		stamp := realtime()
		r.encode(e, stamp)
		if _, err := r.file.WriteAt(r.buf[:], slot*recordSize); err != nil {
			return err
		}
		if apart(stamp, realtime()) <= stampSlack/2 {
			return nil
		}
	}
	return errors.New("the clock and the runtime file's times lie apart")
}

func (r *runtimeFile) encode(e *entry, stamp int64) {
	b := r.buf[:]
	clear(b)
	copy(b, r.id[:])
	binary.BigEndian.PutUint64(b[stampAt:], uint64(stamp)) //nolint:gosec // the bits matter
	copy(b[keyAt:], e.dbKey)
	e.mark.AppendRecord(b[markAt:markAt], e.dbKey)
	binary.BigEndian.PutUint32(b[sumAt:], crc32.Checksum(b[:sumAt], crcTable))
}

func apart(a, b int64) time.Duration { return time.Duration(max(a-b, b-a)) }

// remember writes a mark into the runtime file, if any. False: a start after a kill would find an older mark there,
// so the exact mark must be on disk before anything leaves. The caller holds db.mu.
func (db *DB) remember(e *entry) bool {
	if db.runtime == nil {
		return true
	}
	if err := db.runtime.put(e); err != nil {
		db.noRuntime(err)
		return false
	}
	return true
}

// noRuntime says why the runtime file cannot be used: until the file can be used, a killed process costs as much as a
// power cut, and signatures wait for the disk.
func (db *DB) noRuntime(err error) {
	db.say(slog.LevelWarn, "runtime file not written", "error", err.Error())
}

// endRuntime lets the file go. The file goes away when the run ended in order; else the next start looks into the file.
func (db *DB) endRuntime() {
	if err := db.letRuntimeGo(); err != nil {
		db.log.Warn("runtime file not removed", "error", err.Error())
	}
}

func (db *DB) letRuntimeGo() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.runtime == nil {
		return nil
	}
	err := db.runtime.file.Close()
	if db.poisoned == nil {
		err = errors.Join(err, removeIfThere(db.runtime.file.Name()))
	}
	db.runtime = nil
	return err
}
