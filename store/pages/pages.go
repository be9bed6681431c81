// Package pages looks at every page of a bbolt file before bbolt sees the file.
package pages

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"highwater/hwm"
	"highwater/store/disk"
)

// bbolt takes the shape of its pages on trust: a damaged page makes bbolt panic, also in goroutines of its own, where
// nobody can recover. So all reachable pages are looked at before bbolt sees the file.
//
// Page: id 8 · flags 2 · count 2 · overflow 4 · elements. Branch element: position 4 · key length 4 · page 8. Leaf
// element: flags 4 · position 4 · key length 4 · value length 4. Positions count from the element. A bucket is a value:
// root page 8 · sequence 8 · and, where the root is 0, a leaf page in place. All in the machine's byte order (bbolt,
// internal/common).
const (
	pageHeader   = 16
	elementLen   = 16
	branchPage   = 1
	leafPage     = 2
	bucketFlag   = 1
	bucketHeader = 16
	maxDepth     = 16
	noFreelist   = ^uint64(0)
)

// walker looks at the pages of one file.
type walker struct {
	f        io.ReaderAt
	pageSize int64
	high     uint64
	used     map[uint64]bool
}

// element is an entry of a page: a child of a branch, or a record of a leaf.
type element struct {
	flags uint32
	child uint64
	key   []byte
	value []byte
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{hwm.ErrCorrupt}, args...)...)
}

// unreadable is the error of a read at an offset within the file.
func unreadable(err error, what string, args ...any) error {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return &disk.Error{Err: err}
	}
	return damaged("%s", fmt.Sprintf(what, args...))
}

// verifyPages walks the tree of buckets below a header, and the tree of records of each bucket.
func verifyPages(f io.ReaderAt, m boltMeta) error {
	w := &walker{f: f, pageSize: m.pageSize, high: m.high, used: map[uint64]bool{}}
	return w.walk(m.root, nil, nil, 0, func(e element) error {
		if e.flags != bucketFlag || len(e.value) < bucketHeader {
			return damaged("%q is no bucket", e.key)
		}
		if root := binary.NativeEndian.Uint64(e.value); root != 0 {
			return w.walk(root, nil, nil, 0, plainRecord)
		}
		return w.leaf(e.value[bucketHeader:], nil, nil, plainRecord)
	})
}

func plainRecord(e element) error {
	if e.flags != 0 {
		return damaged("%x is no record", e.key)
	}
	return nil
}

// walk visits the leaves under a page in order. Keys lie from low on and below limit; nil is no bound.
func (w *walker) walk(id uint64, low, limit []byte, depth int, visit func(element) error) error {
	if depth > maxDepth {
		return damaged("page %d lies too deep", id)
	}
	b, err := w.page(id)
	if err != nil {
		return err
	}
	if binary.NativeEndian.Uint16(b[8:]) == leafPage {
		return w.leaf(b, low, limit, visit)
	}
	children, err := elements(b, branchPage, low, limit)
	if err != nil {
		return err
	}
	if len(children) == 0 {
		return damaged("page %d has no children", id)
	}
	for i, c := range children {
		next := limit
		if i+1 < len(children) {
			next = children[i+1].key
		}
		if err := w.walk(c.child, c.key, next, depth+1, visit); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) leaf(b, low, limit []byte, visit func(element) error) error {
	records, err := elements(b, leafPage, low, limit)
	if err != nil {
		return err
	}
	for _, r := range records {
		if err := visit(r); err != nil {
			return err
		}
	}
	return nil
}

// page reads a page with its overflow. Each page is used once, and lies below the highest.
func (w *walker) page(id uint64) ([]byte, error) {
	if id < 2 || id >= w.high {
		return nil, damaged("page %d does not exist", id)
	}
	b := make([]byte, w.pageSize)
	if _, err := w.f.ReadAt(b, int64(id)*w.pageSize); err != nil { //nolint:gosec // below high, within the file
		return nil, unreadable(err, "page %d: %v", id, err)
	}
	overflow := uint64(binary.NativeEndian.Uint32(b[12:]))
	if self := binary.NativeEndian.Uint64(b); self != id || overflow >= w.high-id {
		return nil, damaged("page %d carries the number %d, with %d more pages", id, self, overflow)
	}
	for i := id; i <= id+overflow; i++ {
		if w.used[i] {
			return nil, damaged("page %d is used twice", i)
		}
		w.used[i] = true
	}
	if overflow > 0 {
		b = make([]byte, w.pageSize*int64(overflow+1))                 //nolint:gosec // within the file
		if _, err := w.f.ReadAt(b, int64(id)*w.pageSize); err != nil { //nolint:gosec // below high
			return nil, unreadable(err, "page %d: %v", id, err)
		}
	}
	return b, nil
}

// elements reads the entries of a page: within the page, in strictly rising order, from low on and below limit.
func elements(b []byte, kind uint16, low, limit []byte) ([]element, error) {
	if len(b) < pageHeader || binary.NativeEndian.Uint16(b[8:]) != kind {
		return nil, damaged("a page of another kind than expected")
	}
	count := int(binary.NativeEndian.Uint16(b[10:]))
	if pageHeader+count*elementLen > len(b) {
		return nil, damaged("a page with %d entries in %d bytes", count, len(b))
	}
	out := make([]element, 0, count)
	for i := range count {
		e, ok := readElement(b[pageHeader+i*elementLen:], kind)
		if !ok {
			return nil, damaged("entry %d of a page lies outside of it", i)
		}
		switch {
		case i == 0 && bytes.Compare(e.key, low) < 0, i > 0 && bytes.Compare(e.key, out[i-1].key) <= 0,
			limit != nil && bytes.Compare(e.key, limit) >= 0:
			return nil, damaged("entry %d of a page is out of order", i)
		}
		out = append(out, e)
	}
	return out, nil
}

// readElement reads the entry at the start of b; b goes on to the end of the entry's page.
func readElement(b []byte, kind uint16) (e element, ok bool) {
	var position, keyLen, valueLen uint64
	if kind == branchPage {
		position, keyLen = uint64(binary.NativeEndian.Uint32(b)), uint64(binary.NativeEndian.Uint32(b[4:]))
		e.child = binary.NativeEndian.Uint64(b[8:])
	} else {
		e.flags = binary.NativeEndian.Uint32(b)
		position, keyLen = uint64(binary.NativeEndian.Uint32(b[4:])), uint64(binary.NativeEndian.Uint32(b[8:]))
		valueLen = uint64(binary.NativeEndian.Uint32(b[12:]))
	}
	if keyLen == 0 || position < elementLen || position+keyLen+valueLen > uint64(len(b)) {
		return element{}, false
	}
	e.key, e.value = b[position:position+keyLen], b[position+keyLen:position+keyLen+valueLen]
	return e, true
}
