#!/bin/bash
# Builds the packages of the current commit twice and compares them byte by byte: in two clones at two places, each with a build cache, a umask and a
# time zone of its own. ARCHS says for which architectures. What counts is the commit: changes that are not committed are not looked at.
set -euo pipefail
cd "$(dirname "$0")/.."

die() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit 1; }
archs=${ARCHS:-amd64 arm64} here=$PWD
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

# build PLACE UMASK TIMEZONE
build() {
  (
    umask "$2"
    git clone -q --no-hardlinks "$here" "$1"
    cd "$1"
    mkdir -p bin .cache
    for shared in bin/tools .cache/arm64; do [ ! -e "$here/$shared" ] || ln -s "$here/$shared" "$shared"; done
    GOCACHE=$1/.cache/build TZ=$3 make -s packages ARCHS="$archs" >&2
  )
}

build "$work/one" 022 UTC
build "$work/another/place" 077 Asia/Tokyo
cd "$work/one/bin/packages"
[ "$(ls -- *.deb | wc -l)" -eq "$(wc -w <<<"$archs")" ] || die "not every package was built" "see the messages above"
for file in *.deb *.cdx.json; do
  cmp "$file" "$work/another/place/bin/packages/$file" || die "$file differs between two builds of one commit" "compare them with diffoscope"
  sha256sum "$file"
done
