#!/bin/bash
# natefinch/atomic 1.0.1 and renameio 2.0.2: an atomic write syncs the content, and not the name.
#
# Guess: a package for atomic writes syncs everything before it returns, file and directory; the smaller one syncs nothing; and the new
#        content is first written beside the old file.
# Seen:  both sync the new content, rename it, and return: no sync of the directory. After a power cut the name may lead to the old content,
#        whole and without an error. And renameio writes in $TMPDIR where that is on the same file system.
# So:    a mark in such a file can come back older than it was answered: sync the directory after the rename, and answer then.
#
# Needs go and no C compiler, and strace (of Debian, if it is missing), which shows the calls.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat >expected <<'END'
github.com/google/renameio/v2 v2.0.2
github.com/natefinch/atomic v1.0.1
atomic: sync of the content, rename from the same directory, end
renameio: sync of the content, rename from $TMPDIR, end
END

cat >main.go <<'END'
package main

import (
	"log"
	"os"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/natefinch/atomic"
)

func main() {
	const name, mark = "state/mark", "8000001"
	write := func() error { return renameio.WriteFile(name, []byte(mark), 0o600) }
	if os.Args[1] == "atomic" {
		write = func() error { return atomic.WriteFile(name, strings.NewReader(mark)) }
	}
	if err := write(); err != nil {
		log.Fatal(err)
	}
}
END
if ! command -v strace >/dev/null; then
  apt-get download strace >log 2>&1 || { cat log >&2; exit 1; }
  dpkg -x strace_*.deb .
fi
PATH=$PATH:$dir/usr/bin
mkdir state tmp
go mod init finding 2>log || { cat log >&2; exit 1; }
go get github.com/google/renameio/v2@v2.0.2 github.com/natefinch/atomic@v1.0.1 2>log || { cat log >&2; exit 1; }
GOFLAGS=-mod=mod CGO_ENABLED=0 go build -o program .
{
  go list -m -f '{{.Path}} {{.Version}}' github.com/google/renameio/v2 github.com/natefinch/atomic
  for what in atomic renameio; do
    TMPDIR=$dir/tmp strace -f -qq -y -o trace -e trace=fsync,fdatasync,syncfs,sync,rename,renameat,renameat2 ./program "$what"
    sed -n -e 's/.*sync([0-9]*<.*\/state>) .*/sync of the directory/p' -e 's/.*sync([0-9]*<.*mark[0-9]*>) .*/sync of the content/p' \
      -e "s|.*renameat*2*(.*\"$dir/tmp/[^\"]*\".*mark\".*|rename from \$TMPDIR|p" \
      -e 's|.*renameat*2*(.*"[^"]*state/mark[0-9]*",.*"[^"]*state/mark".*|rename from the same directory|p' trace >calls
    echo "$what: $(tr '\n' ',' <calls | sed 's/,/, /g')end"
  done
} >seen
cat seen
diff -u expected seen
