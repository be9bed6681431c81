#!/bin/bash
# Installs a Go program at an exact version: scripts/install-tool.sh FILE PACKAGE VERSION. Instant when FILE was built from that version.
set -euo pipefail

file=$1 package=$2 version=$3
if [ -x "$file" ] && go version -m "$file" | grep -q "^	mod	.*	v$version	"; then
  exit 0
fi
printf 'installing %s %s into %s\n' "$(basename "$file")" "$version" "$(dirname "$file")" >&2
mkdir -p "$(dirname "$file")"
GOBIN="$(cd "$(dirname "$file")" && pwd)" GOFLAGS='' GOOS='' GOARCH='' CGO_ENABLED=0 go install "$package@v$version"
