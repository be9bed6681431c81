#!/bin/bash
# Builds the program with a store that forgets, at its start, the horizons that the run before left, into the file that is named. It is the control of
# the suites that kill the program and cut its power: they must find it guilty.
set -euo pipefail
out=$PWD/$1
case $1 in /*) out=$1 ;; esac
cd "$(dirname "$0")/../.."
line='e.mark = floor$'
mapfile -t files < <(grep -l -- "$line" store/*.go)
[ "${#files[@]}" = 1 ] && [ "$(grep -c -- "$line" "${files[0]}")" = 1 ] ||
  { printf 'error: the store makes floors of horizons in another way\nhint: see test/harness/forgetful.sh\n' >&2; exit 1; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
sed "s/$line/_ = floor/" "${files[0]}" >"$dir/forgetful.go"
printf '{"Replace": {"%s": "%s"}}\n' "$PWD/${files[0]}" "$dir/forgetful.go" >"$dir/overlay.json"
go build -trimpath -overlay "$dir/overlay.json" -o "$out" ./cmd/highwater
