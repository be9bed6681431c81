#!/bin/bash
# Installs the package in a clean Debian root, signs, upgrades, removes, purges: test/packages/test.sh DEB. Needs root, and Debian's mirror.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH=$PATH:/usr/sbin:/sbin

die() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit 1; }
say() { printf -- '--- %s\n' "$*"; }
[ $# -eq 1 ] && [ -f "$1" ] || die "no package" "make test-packages"
[ "$(id -u)" -eq 0 ] || die "the test makes a root file system of its own, and is not root" "sudo make test-packages"
suite=${SUITE:-trixie} mirror=${MIRROR:-http://deb.debian.org/debian} patience=120
tar=.cache/packages/$suite.tar

scripts/install-deps.sh mmdebstrap lintian unshare ip
if ! [ -e "$tar" ]; then
  say "making a clean root of Debian $suite"
  mkdir -p "$(dirname "$tar")"
  log=$(mktemp)
  mmdebstrap --variant=minbase --include=systemd,udev,curl "$suite" "$tar.new.tar" "$mirror" >"$log" 2>&1 ||
    { cat "$log" >&2; die "no root of Debian $suite could be made" "see mmdebstrap's messages above; another mirror: MIRROR=URL"; }
  mv "$tar.new.tar" "$tar"
fi

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
tar -C "$root" -xf "$tar"
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
mkdir "$root/test"
cp test/packages/{inside,ask}.sh "$root/test/"
cp "$1" "$root/test/first.deb"
# The upgrade is the same content with the next version.
dpkg-deb -R "$1" "$root/test/next"
sed -i 's/^Version: .*/&+next/' "$root/test/next/DEBIAN/control"
dpkg-deb --root-owner-group -Znone -b "$root/test/next" "$root/test/next.deb" >/dev/null
rm -r "$root/test/next"

# inside STEP [ISOLATION]: one step in the root, with processes and mounts of its own; they end with it.
inside() {
  unshare --mount --pid --fork --kill-child "${@:2}" bash -c 'ip link set lo up 2>/dev/null || true
    mount -t proc proc "$0/proc"; mount -t tmpfs tmpfs "$0/run"; exec chroot "$0" /bin/bash /test/inside.sh "$1"' "$root" "$1"
}

begun=$(date +%s)
inside install
inside use --net # a network of its own: the signer's ports are free
took=$(($(cat "$root/test/signed") - begun))
say "from the installation to the first signature: $took s (target: $patience s)"
[ "$took" -le "$patience" ] || die "the first signature came after $took s" "see the messages above for the slow step"
say "lintian"
lintian --allow-root --fail-on error,warning --tag-display-limit 0 "$1" 2>&1 | { grep -v '^running with root' || true; }
say "passed"
