#!/bin/bash
# bbolt 1.5.0: an Open that failed leaves a file, and the next Open takes it for a good, empty database.
#
# Guess: a database whose creation failed is removed, or the next Open refuses it.
# Seen:  the sync of the four first pages fails, Open says so, and the file stays; the next Open and View are fine and find nothing.
# So:    a store of marks is made under another name, synced, and renamed last; and an empty database is no fresh start.
#
# Needs go and strace (of Debian, if it is missing), which makes the first fdatasync fail.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat >expected <<'END'
bbolt v1.5.0
first open: input/output error
the file: 16384 bytes
second open: <nil>
view: <nil>, 0 buckets
END

cat >main.go <<'END'
package main

import (
	"fmt"
	"os"

	"go.etcd.io/bbolt"
)

func main() {
	db, err := bbolt.Open(os.Args[1], 0o600, nil)
	fmt.Printf("%s open: %v\n", os.Args[2], err)
	if err != nil {
		return
	}
	defer db.Close()
	n := 0
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func([]byte, *bbolt.Bucket) error { n++; return nil })
	})
	fmt.Printf("view: %v, %d buckets\n", err, n)
}
END
if ! command -v strace >/dev/null; then
  apt-get download strace >log 2>&1 || { cat log >&2; exit 1; }
  dpkg -x strace_*.deb .
fi
PATH=$PATH:$dir/usr/bin
go mod init finding 2>log || { cat log >&2; exit 1; }
go get go.etcd.io/bbolt@v1.5.0 2>log || { cat log >&2; exit 1; }
GOFLAGS=-mod=mod CGO_ENABLED=0 go build -o program .
{
  go list -m -f 'bbolt {{.Version}}' go.etcd.io/bbolt
  strace -f -qq -o trace -e trace=fdatasync -e inject=fdatasync:error=EIO:when=1 ./program marks.db first
  stat -c 'the file: %s bytes' marks.db
  ./program marks.db second
} >seen
cat seen
diff -u expected seen
