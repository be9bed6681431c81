//go:build !linux

package store

import (
	"os"
	"time"
)

type tmpfsStat struct {
	id      fileID
	changed int64
	ours    bool
}

func statTmpfs(*os.File) (tmpfsStat, error) { return tmpfsStat{}, errNoTmpfs }

func bootID() [16]byte { return [16]byte{} }

func realtime() int64 { return time.Now().UnixNano() }
