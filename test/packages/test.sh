#!/bin/bash
# Installs the package in a clean Debian root, signs, upgrades, removes, purges: test/packages/test.sh DEB. Needs root, and Debian's mirror.
# A package of another architecture runs under QEMU's emulation of its processor, without a target for the time.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH=$PATH:/usr/sbin:/sbin

die() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit 1; }
say() { printf -- '--- %s\n' "$*"; }
[ $# -eq 1 ] && [ -f "$1" ] || die "no package" "make test-packages"
[ "$(id -u)" -eq 0 ] || die "the test makes a root file system of its own, and is not root" "sudo make test-packages"
suite=${SUITE:-trixie} mirror=${MIRROR:-http://deb.debian.org/debian} patience=120
arch=$(dpkg-deb -f "$1" Architecture)
tar=.cache/packages/$suite-$arch.tar root=''
trap '[ -z "$root" ] || rm -rf "$root"; [ -z "${registered:-}" ] || echo -1 >/proc/sys/fs/binfmt_misc/highwater-qemu' EXIT

# emulate: the kernel starts programs of arm64 with QEMU, until the test ends. Systemd does it where it runs.
emulate() {
  scripts/install-deps.sh arch-test qemu-aarch64-static
  patience=0
  ! arch-test "$arch" >/dev/null || return 0
  mountpoint -q /proc/sys/fs/binfmt_misc || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
  # The head of an ELF file of arm64, and the bits of it that count; F: the interpreter is opened now, and needs no file in the root.
  printf '%s' ':highwater-qemu:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:' \
    '\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:' "$(command -v qemu-aarch64-static):F" \
    >/proc/sys/fs/binfmt_misc/register
  registered=1
  arch-test "$arch" >/dev/null || die "programs of $arch do not run here" "install qemu-user-static, with systemd or binfmt-support"
}

scripts/install-deps.sh mmdebstrap lintian unshare ip
case $arch in
  "$(dpkg --print-architecture)") ;;
  arm64) emulate ;;
  *) die "no emulation of $arch" "test the package on a machine of its architecture" ;;
esac
if ! [ -e "$tar" ]; then
  say "making a clean root of Debian $suite"
  mkdir -p "$(dirname "$tar")"
  log=$(mktemp)
  mmdebstrap --architectures="$arch" --variant=minbase --include=systemd,udev,curl "$suite" "$tar.new.tar" "$mirror" >"$log" 2>&1 ||
    { cat "$log" >&2; die "no root of Debian $suite could be made" "see mmdebstrap's messages above; another mirror: MIRROR=URL"; }
  mv "$tar.new.tar" "$tar"
fi

root=$(mktemp -d)
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
if [ "$patience" -eq 0 ]; then
  say "from the installation to the first signature, emulated: $took s"
else
  say "from the installation to the first signature: $took s (target: $patience s)"
fi
[ "$patience" -eq 0 ] || [ "$took" -le "$patience" ] || die "the first signature came after $took s" "see the messages above for the slow step"
say "lintian"
lintian --allow-root --fail-on error,warning --tag-display-limit 0 "$1" 2>&1 | { grep -v '^running with root' || true; }
say "passed"
