package bootmarks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"

	"golang.org/x/sys/unix"

	"highwater/hwm"
)

// Check tells why exact marks would not outlive a killed process in a directory; nil when the marks would.
func Check(dir string) error {
	if Boot() == ([16]byte{}) {
		return errNoBoot
	}
	f, err := os.Open(dir) //nolint:gosec // the operator's own path
	if err != nil {
		return err
	}
	_, err = statTmpfs(f)
	return errors.Join(err, f.Close())
}

var (
	errNoRuntime = errors.New("no runtime directory is configured")
	errNoBoot    = errors.New("the boot's number cannot be read: /proc/sys/kernel/random/boot_id")
	errNoTmpfs   = errors.New("not on a tmpfs: an old state of the file could outlive a power cut")
)

// Read gives the marks of a run's runtime file, by key, or says why none of the marks is believed.
func Read(path string, last Session) (map[hwm.Key]hwm.Mark, error) {
	if path == "" {
		return nil, errNoRuntime
	}
	if here := Boot(); here == ([16]byte{}) || here != last.Boot {
		return nil, errors.New("the machine was restarted since")
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0) //nolint:gosec // the operator's own path
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	st, err := statTmpfs(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if !st.ours {
		return nil, fmt.Errorf("%s is not this user's own, private file", path)
	}
	all, err := io.ReadAll(io.LimitReader(f, maxRecords*recordSize+1))
	if err != nil {
		return nil, err
	}
	marks, newest, err := decodeRecords(all, recordID(last, st.id))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if apart(newest, st.changed) > stampSlack {
		return nil, fmt.Errorf("%s was changed after its last record was written", path)
	}
	return marks, nil
}

// decodeRecords reads the whole records with the ID, and gives the time of the newest. A torn record counts as
// missing.
func decodeRecords(all []byte, id [idLen]byte) (map[hwm.Key]hwm.Mark, int64, error) {
	if len(all)%recordSize != 0 || len(all) > maxRecords*recordSize {
		return nil, 0, fmt.Errorf("%w: %d bytes are no number of records", hwm.ErrCorrupt, len(all))
	}
	marks, newest := map[hwm.Key]hwm.Mark{}, int64(math.MinInt64)
	for ; len(all) > 0; all = all[recordSize:] {
		b := all[:recordSize]
		if [idLen]byte(b) != id {
			return nil, 0, errors.New("the file is from a different run, or a copy")
		}
		if crc32.Checksum(b[:sumAt], crcTable) != binary.BigEndian.Uint32(b[sumAt:]) {
			continue
		}
		var key hwm.Key
		dbKey := b[keyAt:markAt]
		if err := key.UnmarshalBinary(dbKey); err != nil {
			return nil, 0, err
		}
		mark, err := hwm.DecodeMark(dbKey, key.PKH.Curve, b[markAt:markAt+markSize])
		if err != nil {
			return nil, 0, err
		}
		if _, twice := marks[key]; twice {
			return nil, 0, fmt.Errorf("%w: two records of %s", hwm.ErrCorrupt, key)
		}
		marks[key] = mark
		newest = max(newest, int64(binary.BigEndian.Uint64(b[stampAt:]))) //nolint:gosec // the bits matter
	}
	return marks, newest, nil
}
