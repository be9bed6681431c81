#!/bin/bash
# Installs golangci-lint at an exact version: scripts/install-lint.sh FILE VERSION. Instant when FILE has that version.
set -euo pipefail

file=$1 version=$2
if [ -x "$file" ] && [[ "$("$file" version)" == *"has version $version "* ]]; then
  exit 0
fi
printf 'installing golangci-lint %s into %s\n' "$version" "$(dirname "$file")" >&2
mkdir -p "$(dirname "$file")"
GOBIN="$(cd "$(dirname "$file")" && pwd)" GOFLAGS='' CGO_ENABLED=0 \
  go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$version"
