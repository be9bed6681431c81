// Package bootmarks keeps every exact mark of a run in a file on a tmpfs, where the marks outlive a killed process and
// not the boot.
package bootmarks

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"time"

	"highwater/hwm"
	"highwater/store/disk"
)

// The runtime file holds every exact mark on a tmpfs, where the marks outlive a killed process and not the boot. The
// file is never synced. The content is believed only when all of the following holds:
//
//	the file system is a tmpfs          on a disk an older state of the file can outlive a power cut
//	the boot is the present boot        each record has the boot's number
//	the session is the last session     each run makes its session durable before the first signature under a horizon
//	the file is no copy                 each record has the file's device and inode
//	nobody changed the file afterwards  the kernel's time of the last change is the time in the newest record:
//	                                    an older file in the file's place is older inside
//	each record is whole                by its checksum
//	no record is below the disk's mark  and every kind of the key with a mark has a record
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

// stampSlack is how far the time in a record and the kernel's time of the change may lie apart: the kernel counts in
// ticks.
const stampSlack = 20 * time.Millisecond

// stampTries is how often a record is written anew when the clock moved too far meanwhile: the process was put aside.
const stampTries = 3

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// File is the file of a run. A File is not safe for concurrent use.
type File struct {
	file  *os.File
	id    [idLen]byte
	slots map[hwm.Key]int64
	buf   [recordSize]byte
}

// Session names a run: the run made the number durable before anything was signed under a horizon.
type Session struct {
	ID   uint64   // zero: no run
	Boot [16]byte // the boot's number; zero when unreadable
}

func recordID(s Session, f disk.FileID) (id [idLen]byte) {
	id[0] = runtimeVersion
	binary.BigEndian.PutUint64(id[1:], s.ID)
	copy(id[9:], s.Boot[:])
	binary.BigEndian.PutUint64(id[25:], f.Device)
	binary.BigEndian.PutUint64(id[33:], f.Inode)
	return id
}

// Create makes the file of a run, without marks. The error says why exact marks would not outlive a killed process in
// the directory.
func Create(path string, s Session) (*File, error) {
	if s.Boot == ([16]byte{}) {
		return nil, errNoBoot
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, disk.FileMode) //nolint:gosec // the operator's own path
	if err != nil {
		return nil, err
	}
	st, err := statTmpfs(f)
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return &File{file: f, id: recordID(s, st.id), slots: map[hwm.Key]int64{}}, nil
}

// Put writes the record of a mark. dbKey is the mark's key in binary form. The record's time must be close to the
// kernel's time of the write: the kernel takes the time between the two looks at the clock here, or up to a tick of
// 10 ms before the first look, since the time of files moves in ticks. Hence the two times lie at most stampSlack
// apart. Neither the clock nor the file needs a system call for the comparison.
func (r *File) Put(key hwm.Key, dbKey []byte, mark *hwm.Mark) error {
	slot, ok := r.slots[key]
	if !ok {
		slot = int64(len(r.slots))
		r.slots[key] = slot
	}
	for range stampTries {
		stamp := realtime()
		r.encode(dbKey, mark, stamp)
		if _, err := r.file.WriteAt(r.buf[:], slot*recordSize); err != nil {
			return err
		}
		if apart(stamp, realtime()) <= stampSlack/2 {
			return nil
		}
	}
	return errors.New("the clock and the runtime file's times lie apart")
}

func (r *File) encode(dbKey []byte, mark *hwm.Mark, stamp int64) {
	b := r.buf[:]
	clear(b)
	copy(b, r.id[:])
	binary.BigEndian.PutUint64(b[stampAt:], uint64(stamp)) //nolint:gosec // the bits matter
	copy(b[keyAt:], dbKey)
	mark.AppendRecord(b[markAt:markAt], dbKey)
	binary.BigEndian.PutUint32(b[sumAt:], crc32.Checksum(b[:sumAt], crcTable))
}

func apart(a, b int64) time.Duration { return time.Duration(max(a-b, b-a)) }

// Close lets the file go; the file stays for the next start.
func (r *File) Close() error { return r.file.Close() }

// Remove closes the file and takes the file away: the run ended in order, or has no use for the file.
func (r *File) Remove() error {
	err := r.file.Close()
	if gone := os.Remove(r.file.Name()); !errors.Is(gone, os.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}
