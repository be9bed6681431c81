#!/bin/bash
# Builds the program with a standard library whose wall clock is off by HIGHWATER_LAB_SKEW (a duration such as -5h), into the file that
# is named. Only the wall clock of a kernel cannot differ from namespace to namespace; everything else in this program is as always.
set -euo pipefail
out=$1
cd "$(dirname "$0")/../.."
root=$(go env GOROOT)/src/time
dir=$PWD/.cache/failover
mkdir -p "$dir"

read='sec, nsec, mono := runtimeNow()'
[ "$(grep -c "$read" "$root/time.go")" = 1 ] ||
  { printf 'error: time.Now of this Go reads the clock in another way\nhint: see test/failover/skewed.sh\n' >&2; exit 1; }
sed "s/$read/&; sec += labSkew/" "$root/time.go" >"$dir/time.go"
cat >"$dir/skew.go" <<'EOF'
package time

import "syscall"

var labSkew = func() int64 {
	text, _ := syscall.Getenv("HIGHWATER_LAB_SKEW")
	d, _ := ParseDuration(text)
	return int64(d / Second)
}()
EOF
printf '{"Replace": {"%s": "%s", "%s": "%s"}}\n' "$root/time.go" "$dir/time.go" "$root/lab_skew.go" "$dir/skew.go" >"$dir/overlay.json"
go build -trimpath -overlay "$dir/overlay.json" -o "$out" ./cmd/highwater
