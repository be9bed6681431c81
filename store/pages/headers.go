package pages

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"

	"highwater/hwm"
)

// The header that bbolt keeps twice, in its first two pages: after 16 bytes of page header, magic 4 · version 4 ·
// page size 4 · flags 4 · root 8 · sequence 8 · freelist 8 · high page 8 · transaction 8 · FNV-64a 8, in the
// machine's byte order.
const (
	metaOffset   = 16
	metaLen      = 64
	boltMagic    = 0xED0CDAED
	boltVersion  = 2
	minPageSize  = 1024
	maxPageSize  = 65536
	metaVersion  = 4
	metaPageSize = 8
	metaRoot     = 16
	metaFreelist = 32
	metaHigh     = 40
	metaTx       = 48
	metaSum      = 56
)

// boltMeta is the content of a header.
type boltMeta struct {
	pageSize                     int64
	root, freelist, high, number uint64
}

// Check wants both headers whole, and all pages below the newer header. bbolt needs only one header: with the
// newer header damaged bbolt opens the file of a transaction ago, which lowers a mark. A power cut cannot damage a
// header, since a header lies within one sector.
//
// The error is a *disk.Error where the disk cannot be read, and else wraps hwm.ErrCorrupt.
func Check(f io.ReaderAt, size int64) error {
	first, err := readMeta(f, 0, size)
	if err != nil {
		return fmt.Errorf("first header: %w", err)
	}
	second, err := readMeta(f, first.pageSize, size)
	if err != nil {
		return fmt.Errorf("second header: %w", err)
	}
	if first.pageSize != second.pageSize {
		return fmt.Errorf("%w: the file's headers are of two files", hwm.ErrCorrupt)
	}
	if second.number > first.number {
		first = second
	}
	if first.freelist != noFreelist { // our files never keep a list; bbolt would believe any list
		return fmt.Errorf("%w: a foreign program wrote to the file: a list of free pages", hwm.ErrCorrupt)
	}
	return verifyPages(f, first)
}

func readMeta(f io.ReaderAt, page, size int64) (boltMeta, error) {
	b := make([]byte, metaLen)
	if _, err := f.ReadAt(b, page+metaOffset); err != nil {
		return boltMeta{}, unreadable(err, "the file is too short")
	}
	if binary.NativeEndian.Uint32(b) != boltMagic || binary.NativeEndian.Uint32(b[metaVersion:]) != boltVersion {
		return boltMeta{}, fmt.Errorf("%w: not a bbolt file", hwm.ErrCorrupt)
	}
	sum := fnv.New64a()
	sum.Write(b[:metaSum])
	if sum.Sum64() != binary.NativeEndian.Uint64(b[metaSum:]) {
		return boltMeta{}, fmt.Errorf("%w: a wrong checksum", hwm.ErrCorrupt)
	}
	m := boltMeta{
		pageSize: int64(binary.NativeEndian.Uint32(b[metaPageSize:])), root: binary.NativeEndian.Uint64(b[metaRoot:]),
		freelist: binary.NativeEndian.Uint64(b[metaFreelist:]), high: binary.NativeEndian.Uint64(b[metaHigh:]),
		number: binary.NativeEndian.Uint64(b[metaTx:]),
	}
	if m.pageSize < minPageSize || m.pageSize > maxPageSize || m.pageSize&(m.pageSize-1) != 0 {
		return boltMeta{}, fmt.Errorf("%w: a page size of %d bytes", hwm.ErrCorrupt, m.pageSize)
	}
	if m.high > uint64(size/m.pageSize) { //nolint:gosec // not negative
		return boltMeta{}, fmt.Errorf("%w: the file is cut: %d pages of %d", hwm.ErrCorrupt, size/m.pageSize, m.high)
	}
	return m, nil
}
