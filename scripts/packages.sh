#!/bin/bash
# Builds the Debian packages and their SBOMs: scripts/packages.sh VERSION ARCHITECTURE… (amd64, arm64), into OUT (bin/packages). Two builds of one
# commit give the same bytes (make release-check). LDFLAGS and CGO_CFLAGS are the Makefile's.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 022

die() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit 1; }
[ $# -ge 2 ] || die "no version or no architecture" "call: make packages"
out=${OUT:-bin/packages} stage=bin/packages/stage libc=2.34 # the libc of nfpm.yaml
build=$1
shift

# dpkg sorts ~ before everything, and takes - for its own revision.
VERSION=$(sed -E 's/^v//; s/-(alpha|beta|rc)/~\1/; s/-/+/g' <<<"$build")
[[ $VERSION == [0-9]*.* ]] || VERSION="0~git$(git log -1 --format=%cd --date=format:%Y%m%d%H%M).$VERSION"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export VERSION SOURCE_DATE_EPOCH
maintainer=$(sed -n 's/^maintainer: //p' deploy/packages/nfpm.yaml)

scripts/install-tool.sh bin/tools/nfpm github.com/goreleaser/nfpm/v2/cmd/nfpm 2.45.2
scripts/install-tool.sh bin/tools/cyclonedx-gomod github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod 1.9.0
scripts/install-deps.sh objdump xz

# compile FILE: the program that goes into a package; its symbols and the way of its C libraries stay out.
compile() { go build -trimpath -ldflags "${LDFLAGS:-} -s -w -buildid=" -o "$1" ./cmd/highwater; }

# for_arm64 COMMAND…: with Debian's cross compiler, and libusb of arm64 from a directory of our own.
for_arm64() {
  local root=$PWD/.cache/arm64
  scripts/install-deps.sh aarch64-linux-gnu-gcc
  scripts/arm64-libs.sh "$root"
  CC=aarch64-linux-gnu-gcc GOARCH=arm64 PKG_CONFIG_LIBDIR=$root/usr/lib/aarch64-linux-gnu/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root \
    PKG_CONFIG_PATH='' CGO_LDFLAGS="-L$root/usr/lib/aarch64-linux-gnu -Wl,-rpath-link=$root/usr/lib/aarch64-linux-gnu" "$@"
}

# documents: everything in the package that is the same for each architecture.
documents() {
  local host=bin/packages/host-highwater
  go build -trimpath -ldflags "${LDFLAGS:-}" -o "$host" ./cmd/highwater
  "$host" man "$stage/man" >/dev/null
  gzip -9n "$stage"/man/*.1
  for shell in bash zsh fish; do "$host" completion "$shell" >"$stage/highwater.$shell"; done
  gzip -9nc CHANGELOG.md >"$stage/CHANGELOG.md.gz"
  printf 'highwater (%s) unstable; urgency=medium\n\n  * The changes: CHANGELOG.md.gz, beside this file.\n\n -- %s  %s\n' "$VERSION" "$maintainer" \
    "$(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")" | gzip -9nc >"$stage/changelog.gz"
  cp deploy/packages/copyright "$stage/copyright"
}

# licenses FILE: the licences of all modules that are linked into the program, and of Go.
licenses() {
  { printf '==== Go\n\n'; cat "$(go env GOROOT)/LICENSE"
    go version -m "$1" | awk '$1 == "dep" { print $2 }' | sort | xargs go list -m -f '{{.Path}} {{.Version}} {{.Dir}}' |
      while read -r module version dir; do
        printf '\n==== %s %s\n\n' "$module" "$version"
        find "$dir" -maxdepth 1 -type f \( -iname 'licen[cs]e*' -o -iname 'notice*' -o -iname 'copying*' \) | LC_ALL=C sort | xargs -d '\n' cat
      done; } | gzip -9n
}

# sbom FILE: the modules of the program (CycloneDX); its time is the commit's.
sbom() {
  bin/tools/cyclonedx-gomod bin -json -std -noserial -version "$build" "$1" |
    sed "s/\"timestamp\": \"[^\"]*\"/\"timestamp\": \"$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)\"/"
}

mkdir -p "$out"
for ARCH; do
  export ARCH
  rm -rf "$stage"
  mkdir -p "$stage/man"
  case $ARCH in
    amd64) GOARCH=amd64 compile "$stage/highwater" ;;
    arm64) for_arm64 compile "$stage/highwater" ;;
    *) die "no build for $ARCH" "use amd64 or arm64" ;;
  esac
  needs=$(objdump -T "$stage/highwater" 2>/dev/null | grep -o 'GLIBC_2[0-9.]*' | sort -Vu | tail -1 || true)
  [ "$ARCH" = arm64 ] || [ "$(printf 'GLIBC_%s\n%s\n' "$libc" "$needs" | sort -V | tail -1)" = "GLIBC_$libc" ] ||
    die "the program needs $needs, and the package promises $libc" "change both: depends in deploy/packages/nfpm.yaml, libc here"
  documents
  licenses "$stage/highwater" >"$stage/licenses.gz"
  sbom "$stage/highwater" >"$stage/sbom.json"
  deb=$out/highwater_${VERSION}_$ARCH.deb
  bin/tools/nfpm package --config deploy/packages/nfpm.yaml --packager deb --target "$deb" >/dev/null
  cp "$stage/sbom.json" "${deb%.deb}.cdx.json"
  printf '%s\n' "$deb"
done
