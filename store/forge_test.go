package store_test

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"time"
)

// The layout of a record of the runtime file, written out a second time.
const (
	recordSize = 256
	sessionAt  = 1
	bootAt     = 9
	inodeAt    = 33
	stampAt    = 41
	sumAt      = recordSize - 4
)

// forgeRecords changes each record of a runtime file in place, and makes its checksum and its time right again.
func forgeRecords(path string, change func(record []byte)) error {
	all, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	stamp := time.Now().UnixNano()
	for at := 0; at < len(all); at += recordSize {
		b := all[at : at+recordSize]
		change(b)
		binary.BigEndian.PutUint64(b[stampAt:], uint64(stamp))
		binary.BigEndian.PutUint32(b[sumAt:], crc32.Checksum(b[:sumAt], crc32.MakeTable(crc32.Castagnoli)))
	}
	return os.WriteFile(path, all, 0o600)
}
