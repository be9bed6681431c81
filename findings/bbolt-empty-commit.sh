#!/bin/bash
# bbolt 1.5.0: a transaction that changes nothing costs as many syncs as one that does.
#
# Guess: an Update that wrote nothing, or wrote the value that was there, ends without touching the disk.
# Seen:  each syncs twice, like one that changed a value. (The freelist is written anew in any case.)
# So:    what is there already is compared in memory, before a transaction is begun: a signer asked twice for the same bytes must not wait
#        for the disk.
#
# Needs go and strace (of Debian, if it is missing), which counts.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat >expected <<'END'
bbolt v1.5.0
ten updates, empty: 20 syncs
ten updates, same: 20 syncs
ten updates, other: 20 syncs
END

cat >main.go <<'END'
package main

import (
	"log"
	"os"
	"strconv"

	"go.etcd.io/bbolt"
)

func main() {
	db, err := bbolt.Open(os.Args[1], 0o600, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	times, err := strconv.Atoi(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	for i := range times {
		err := db.Update(func(tx *bbolt.Tx) error {
			if os.Args[2] == "empty" {
				return nil
			}
			b, err := tx.CreateBucketIfNotExists([]byte("marks"))
			if err != nil {
				return err
			}
			value := byte(0)
			if os.Args[2] == "other" {
				value = byte(i)
			}
			return b.Put([]byte("key"), []byte{value})
		})
		if err != nil {
			log.Fatal(err)
		}
	}
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
syncs() { # syncs WHAT TIMES: of one run
  rm -f marks.db
  strace -f -qq -o trace -e trace=fdatasync ./program marks.db "$1" "$2"
  grep -c 'fdatasync(.*= 0$\|fdatasync resumed' trace
}
{
  go list -m -f 'bbolt {{.Version}}' go.etcd.io/bbolt
  for what in empty same other; do
    printf 'ten updates, %s: %d syncs\n' "$what" $(($(syncs "$what" 11) - $(syncs "$what" 1)))
  done
} >seen
cat seen
diff -u expected seen
