//go:build !linux

package bootmarks

import (
	"os"
	"time"

	"highwater/store/disk"
)

type tmpfsStat struct {
	id      disk.FileID
	changed int64
	ours    bool
}

func statTmpfs(*os.File) (tmpfsStat, error) { return tmpfsStat{}, errNoTmpfs }

// Boot is the number of the present boot; zero: unknown.
func Boot() [16]byte { return [16]byte{} }

func realtime() int64 { return time.Now().UnixNano() }
