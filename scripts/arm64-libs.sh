#!/bin/bash
# Gives the libraries that a build for arm64 links against, as a directory: scripts/arm64-libs.sh DIRECTORY. Debian's packages of arm64 are
# unpacked there, and not installed: the system's own list of architectures stays as it is. Instant when they are there.
set -euo pipefail

root=$1
die() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit 1; }
[ -e "$root/usr/lib/aarch64-linux-gnu/pkgconfig/libusb-1.0.pc" ] && exit 0

command -v apt-get >/dev/null || die "the libraries for arm64 are Debian packages, and this system has no apt-get" "build on Debian or Ubuntu"
printf 'fetching libusb for arm64\n' >&2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/lists" "$tmp/cache/archives/partial" "$tmp/debs" "$tmp/root"
: >"$tmp/status"
apt() {
  apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root -o Dir::State::status="$tmp/status" \
    -o Dir::State::lists="$tmp/lists" -o Dir::Cache="$tmp/cache" "$@" </dev/null >>"$tmp/log" 2>&1
}
apt update || true # a source of packages that is out of reach does not matter if the others suffice
(cd "$tmp/debs" && apt download libusb-1.0-0 libusb-1.0-0-dev libudev1) ||
  { cat "$tmp/log" >&2; die "could not download libusb for arm64" "see apt's messages above; Ubuntu has arm64 on another server than amd64: add it to apt's sources"; }
for deb in "$tmp"/debs/*.deb; do dpkg -x "$deb" "$tmp/root"; done
# The packages of older releases have libraries below /lib.
[ ! -d "$tmp/root/lib" ] || { cp -a "$tmp/root/lib/." "$tmp/root/usr/lib/"; rm -r "$tmp/root/lib"; }
rm -rf "$root"
mkdir -p "$(dirname "$root")"
mv "$tmp/root" "$root"
